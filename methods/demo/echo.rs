//! Returns its parameters: any JSON, byte for byte.
use method_sdk::prelude::*;

/// Returns the parameters as they are: a `RawValue` is JSON text that is not parsed.
pub fn invoke(_handler: &mut Handler, params: Box<RawValue>) -> Result<Box<RawValue>> {
    Ok(params)
}
