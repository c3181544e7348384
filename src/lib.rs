//! The methods of this application: the tree in `methods/`, as modules.

include!(concat!(env!("OUT_DIR"), "/methods.rs"));
