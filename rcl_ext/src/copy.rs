//! Copies rcl's parameters into Rust types.

use std::ffi::{CStr, c_char};

use r2r_rcl::{rcl_node_params_t, rcl_params_t, rcl_variant_t};

/// The value of a parameter, in one of the types of ROS.
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
    /// A name without a value. rcl reads an empty list in this way, because the list has no type.
    Nothing,
}

/// The parameters under one key of a parameter file. The parameters of the command line are under
/// `/**`.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeParameters {
    /// The key in rcl's form: nested keys are joined with `/`, wildcards are as written.
    pub key: String,
    /// The names and values. Groups in a name are joined with dots.
    pub parameters: Vec<(String, Value)>,
}

/// Copies the parameters that rcl has read.
///
/// # Safety
/// `params` is null or points to parameters that rcl has allocated and not yet freed.
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
            // SAFETY: each name is a string of rcl.
            key: unsafe { text(key) },
            // SAFETY: rcl has allocated each set.
            parameters: unsafe { parameters(set) },
        })
        .collect()
}

/// Copies one set of parameters.
///
/// # Safety
/// rcl has allocated `set` and not yet freed it.
unsafe fn parameters(set: &rcl_node_params_t) -> Vec<(String, Value)> {
    // SAFETY: rcl keeps `num_params` names.
    let names = unsafe { slice(set.parameter_names, set.num_params) };
    // SAFETY: rcl keeps as many values as names.
    let values = unsafe { slice(set.parameter_values, set.num_params) };
    names
        .iter()
        .zip(values)
        // SAFETY: each name is a string of rcl, and rcl has allocated each value.
        .map(|(&name, given)| unsafe { (text(name), value(given)) })
        .collect()
}

/// Copies one value.
///
/// # Safety
/// rcl has allocated `given` and not yet freed it.
unsafe fn value(given: &rcl_variant_t) -> Value {
    // SAFETY: rcl sets only the pointer of the value's type. This pointer is valid, and all others
    // are null.
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

/// Copies a C string. A null pointer becomes an empty string.
///
/// # Safety
/// `string` is null or points to a string that ends with NUL.
pub(crate) unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: by the contract of this function.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

/// Returns an array of C as a slice. A null pointer becomes an empty slice.
///
/// # Safety
/// `first` is null or points to `count` elements that live for `'a`.
pub(crate) unsafe fn slice<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if first.is_null() {
        return &[];
    }
    // SAFETY: by the contract of this function.
    unsafe { std::slice::from_raw_parts(first, count) }
}
