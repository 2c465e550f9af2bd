//! rcl's parameters, copied into Rust.

use std::ffi::{CStr, c_char};

use r2r_rcl::{rcl_node_params_t, rcl_params_t, rcl_variant_t};

/// The value of a parameter, of one of the types that ROS has.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A bool.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A double.
    Real(f64),
    /// A string.
    Text(String),
    /// An array of bytes.
    Bytes(Vec<u8>),
    /// An array of bools.
    Booleans(Vec<bool>),
    /// An array of integers.
    Integers(Vec<i64>),
    /// An array of doubles.
    Reals(Vec<f64>),
    /// An array of strings.
    Texts(Vec<String>),
    /// rcl read the name and no value: an empty list has no type.
    Nothing,
}

/// The parameters under one key of a parameter file, or those of the command line under `/**`.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeParameters {
    /// The key as rcl has it: nested keys joined with `/`, wildcards as written.
    pub key: String,
    /// Names, groups joined with dots, and values.
    pub parameters: Vec<(String, Value)>,
}

/// Copies what rcl has read.
///
/// # Safety
/// `params` points to parameters that rcl has made and not yet freed.
pub(crate) unsafe fn nodes(params: *const rcl_params_t) -> Vec<NodeParameters> {
    // SAFETY: by the contract of this function.
    let Some(params) = (unsafe { params.as_ref() }) else { return Vec::new() };
    // SAFETY: rcl keeps `num_nodes` names.
    let keys = unsafe { slice(params.node_names, params.num_nodes) };
    // SAFETY: rcl keeps as many sets of parameters as names.
    let sets = unsafe { slice(params.params, params.num_nodes) };
    keys.iter()
        .zip(sets)
        .map(|(&key, set)| NodeParameters {
            // SAFETY: each name is a string of rcl's.
            key: unsafe { text(key) },
            // SAFETY: each set is one of rcl's.
            parameters: unsafe { parameters(set) },
        })
        .collect()
}

/// # Safety
/// `set` is one that rcl has made and not yet freed.
unsafe fn parameters(set: &rcl_node_params_t) -> Vec<(String, Value)> {
    // SAFETY: rcl keeps `num_params` names.
    let names = unsafe { slice(set.parameter_names, set.num_params) };
    // SAFETY: rcl keeps as many values as names.
    let values = unsafe { slice(set.parameter_values, set.num_params) };
    names
        .iter()
        .zip(values)
        // SAFETY: each name is a string of rcl's, each value one of rcl's.
        .map(|(&name, given)| unsafe { (text(name), value(given)) })
        .collect()
}

/// # Safety
/// `given` is a value that rcl has made and not yet freed.
unsafe fn value(given: &rcl_variant_t) -> Value {
    // SAFETY: rcl leaves null the pointers of the types that the value is not of; the others point to what they say.
    unsafe {
        if let Some(&value) = given.bool_value.as_ref() {
            Value::Boolean(value)
        } else if let Some(&value) = given.integer_value.as_ref() {
            Value::Integer(value)
        } else if let Some(&value) = given.double_value.as_ref() {
            Value::Real(value)
        } else if !given.string_value.is_null() {
            Value::Text(text(given.string_value))
        } else if let Some(array) = given.byte_array_value.as_ref() {
            Value::Bytes(slice(array.values, array.size).to_vec())
        } else if let Some(array) = given.bool_array_value.as_ref() {
            Value::Booleans(slice(array.values, array.size).to_vec())
        } else if let Some(array) = given.integer_array_value.as_ref() {
            Value::Integers(slice(array.values, array.size).to_vec())
        } else if let Some(array) = given.double_array_value.as_ref() {
            Value::Reals(slice(array.values, array.size).to_vec())
        } else if let Some(array) = given.string_array_value.as_ref() {
            Value::Texts(slice(array.data, array.size).iter().map(|&element| text(element)).collect())
        } else {
            Value::Nothing
        }
    }
}

/// # Safety
/// `string` is null or points to a string that ends with NUL.
pub(crate) unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: by the contract of this function.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

/// # Safety
/// `first` is null or points to `count` elements that live for `'a`.
pub(crate) unsafe fn slice<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if first.is_null() {
        return &[];
    }
    // SAFETY: by the contract of this function.
    unsafe { std::slice::from_raw_parts(first, count) }
}
