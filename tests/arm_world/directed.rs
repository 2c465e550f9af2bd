//! Single cases, as a person beside the arm tells them.
