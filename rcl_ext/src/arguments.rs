//! Reads command lines and parameter files with rcl.

use std::ffi::{CString, c_int};
use std::path::Path;
use std::ptr;

use r2r_rcl::{
    RCL_RET_OK, rcl_arguments_fini, rcl_arguments_get_param_files, rcl_arguments_get_param_files_count,
    rcl_arguments_get_param_overrides, rcl_arguments_t, rcl_get_zero_initialized_arguments, rcl_params_t,
    rcl_parse_arguments, rcl_parse_yaml_file, rcl_ret_t, rcl_yaml_node_struct_fini,
    rcl_yaml_node_struct_init, rcutils_allocator_t, rcutils_get_default_allocator,
};

use crate::copy::{NodeParameters, nodes, slice, text};
use crate::error::RclError;

/// A command line that rcl has parsed, with all its parameter files.
pub struct Arguments(rcl_arguments_t);

impl Arguments {
    /// Parses the arguments of a process. The first is the name of the program.
    ///
    /// # Errors
    /// rcl cannot read an argument or a parameter file.
    pub fn parse<T: AsRef<str>>(arguments: &[T]) -> Result<Self, RclError> {
        let owned = arguments.iter().map(|argument| c_string(argument.as_ref()));
        let owned = owned.collect::<Result<Vec<CString>, RclError>>()?;
        let pointers: Vec<_> = owned.iter().map(|argument| argument.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).map_err(|_| RclError::new("too many arguments"))?;
        // SAFETY: the function takes no pointer.
        let mut parsed = Self(unsafe { rcl_get_zero_initialized_arguments() });
        // SAFETY: `pointers` has `count` strings, which outlive the call. The output is
        // zero-initialized, as rcl requires.
        check(unsafe { rcl_parse_arguments(count, pointers.as_ptr(), allocator(), &raw mut parsed.0) })?;
        Ok(parsed)
    }

    /// Returns the paths of the parameter files, in the order of the command line.
    ///
    /// # Errors
    /// rcl fails.
    pub fn parameter_files(&self) -> Result<Vec<String>, RclError> {
        // SAFETY: rcl has parsed the arguments.
        let count = unsafe { rcl_arguments_get_param_files_count(&raw const self.0) };
        let count = usize::try_from(count).unwrap_or_default();
        if count == 0 {
            return Ok(Vec::new());
        }
        let allocator = allocator();
        let mut files = ptr::null_mut();
        // SAFETY: rcl has parsed the arguments. The output is a null pointer, as rcl requires.
        check(unsafe { rcl_arguments_get_param_files(&raw const self.0, allocator, &raw mut files) })?;
        // SAFETY: rcl has allocated an array of `count` strings.
        let paths: Vec<_> = unsafe { slice(files, count) }.to_vec();
        // SAFETY: each path is a string of rcl.
        let copied = paths.iter().map(|&path| unsafe { text(path) }).collect();
        if let Some(free) = allocator.deallocate {
            for path in paths {
                // SAFETY: rcl has allocated the string with this allocator, and the caller must
                // free it.
                unsafe { free(path.cast(), allocator.state) };
            }
            // SAFETY: rcl has allocated the array with this allocator, and the caller must free it.
            unsafe { free(files.cast(), allocator.state) };
        }
        Ok(copied)
    }

    /// Returns the parameters of all files and of `-p` by key, merged by rcl.
    ///
    /// # Errors
    /// rcl fails.
    pub fn parameters(&self) -> Result<Vec<NodeParameters>, RclError> {
        let mut params = Parameters(ptr::null_mut());
        // SAFETY: rcl has parsed the arguments. The output is a null pointer, as rcl requires.
        check(unsafe { rcl_arguments_get_param_overrides(&raw const self.0, &raw mut params.0) })?;
        Ok(params.copy())
    }
}

impl Drop for Arguments {
    fn drop(&mut self) {
        if !self.0.impl_.is_null() {
            // SAFETY: rcl has allocated the arguments, and this frees them once. If it fails, the
            // memory leaks, because there is no other way to free it.
            let _ = unsafe { rcl_arguments_fini(&raw mut self.0) };
        }
    }
}

/// Reads one parameter file.
///
/// # Errors
/// rcl cannot read the file.
pub fn read_parameter_file(path: &Path) -> Result<Vec<NodeParameters>, RclError> {
    let path = c_string(&path.to_string_lossy())?;
    // SAFETY: the function takes no pointer.
    let params = Parameters(unsafe { rcl_yaml_node_struct_init(allocator()) });
    if params.0.is_null() {
        return Err(RclError::take());
    }
    // SAFETY: the path outlives the call, and rcl has allocated the output.
    if unsafe { rcl_parse_yaml_file(path.as_ptr(), params.0) } {
        Ok(params.copy())
    } else {
        Err(RclError::take())
    }
}

/// Parameters that rcl has allocated. They are freed on drop.
struct Parameters(*mut rcl_params_t);

impl Parameters {
    fn copy(&self) -> Vec<NodeParameters> {
        // SAFETY: the pointer is null, or rcl has allocated the parameters and not yet freed them.
        unsafe { nodes(self.0) }
    }
}

impl Drop for Parameters {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: rcl has allocated the parameters, and this frees them once.
            unsafe { rcl_yaml_node_struct_fini(self.0) };
        }
    }
}

fn allocator() -> rcutils_allocator_t {
    // SAFETY: the function takes no pointer.
    unsafe { rcutils_get_default_allocator() }
}

fn c_string(text: &str) -> Result<CString, RclError> {
    CString::new(text).map_err(|_| RclError::new(format!("{text:?} contains NUL (byte 0)")))
}

fn check(returned: rcl_ret_t) -> Result<(), RclError> {
    if u32::try_from(returned) == Ok(RCL_RET_OK) { Ok(()) } else { Err(RclError::take()) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::copy::Value;
    use crate::take_error;

    /// A file with this text, removed on drop.
    struct File(PathBuf);

    impl File {
        fn new(yaml: &str) -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let name =
                format!("rcl_ext-{}-{}.yaml", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, yaml).unwrap();
            Self(path)
        }

        fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn read(yaml: &str) -> Result<Vec<NodeParameters>, RclError> {
        read_parameter_file(&File::new(yaml).0)
    }

    fn named(name: &str, value: Value) -> (String, Value) {
        (name.into(), value)
    }

    #[test]
    fn every_type_is_copied() {
        let read = read(
            "/**:\n  ros__parameters:\n    a: true\n    b: 7\n    c: 0.5\n    d: {e: text}\n    f: [true, false]\n    \
             g: [1, 2]\n    h: [0.5]\n    i: [x, z]\n    j: []\n",
        );
        let expected = [
            named("a", Value::Boolean(true)),
            named("b", Value::Integer(7)),
            named("c", Value::Real(0.5)),
            named("d.e", Value::Text("text".into())),
            named("f", Value::Booleans(vec![true, false])),
            named("g", Value::Integers(vec![1, 2])),
            named("h", Value::Reals(vec![0.5])),
            named("i", Value::Texts(vec!["x".into(), "z".into()])),
            named("j", Value::Nothing),
        ];
        assert_eq!(read.unwrap(), [NodeParameters { key: "/**".into(), parameters: expected.into() }]);
    }

    #[test]
    fn nested_keys_are_joined() {
        let read =
            read("left:\n  arm:\n    ros__parameters:\n      a: 1\n/x:\n  ros__parameters:\n    b: 2\n")
                .unwrap();
        assert_eq!(read.iter().map(|node| node.key.as_str()).collect::<Vec<_>>(), ["left/arm", "/x"]);
    }

    #[test]
    fn files_and_command_line_are_merged_in_order() {
        let one = File::new("/**:\n  ros__parameters: {a: 1, b: 1}\n");
        let two = File::new("/**:\n  ros__parameters: {b: 2}\n");
        let (one, two) = (one.path(), two.path());
        let line = [
            "x",
            "--ros-args",
            "--params-file",
            one,
            "--params-file",
            two,
            "-p",
            "c:=3",
            "-r",
            "__ns:=/left",
        ];
        let parsed = Arguments::parse(&line).unwrap();
        assert_eq!(parsed.parameter_files().unwrap(), [one, two]);
        let parameters =
            [("a", 1), ("b", 2), ("c", 3)].map(|(name, value)| named(name, Value::Integer(value)));
        let expected = NodeParameters { key: "/**".into(), parameters: parameters.into() };
        assert_eq!(parsed.parameters().unwrap(), [expected]);
    }

    #[test]
    fn command_line_without_parameters_is_empty() {
        let parsed = Arguments::parse(&["x"]).unwrap();
        assert_eq!((parsed.parameter_files().unwrap().len(), parsed.parameters().unwrap().len()), (0, 0));
        assert!(Arguments::parse::<&str>(&[]).unwrap().parameters().unwrap().is_empty());
    }

    #[test]
    fn error_has_the_text_of_rcl() {
        let error = |line: &[&str]| Arguments::parse(line).err().unwrap().to_string();
        assert!(error(&["x", "--ros-args", "-p", "a:={{b}}"]).contains("a:={{b}}"));
        assert!(error(&["x", "--ros-args", "--params-file", "/no/such.yaml"]).contains("/no/such.yaml"));
        assert!(error(&["x", "--ros-args", "-p", "a:=\0"]).contains("NUL"));
        let error = read("/**:\n  ros__parameters:\n    a: \"\"b\"\"\n").unwrap_err().to_string();
        assert!(error.len() > 10, "{error}");
        assert_eq!(take_error(), None, "each error is taken once");
    }
}
