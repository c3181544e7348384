//! Answers its parameters: any JSON, numbers byte for byte.
use method_sdk::prelude::*;

/// `RawValue` is JSON that nobody has parsed: what comes in goes out.
pub fn invoke(_handler: &mut Handler, params: Box<RawValue>) -> Result<Box<RawValue>> {
    Ok(params)
}
