use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

/// Any JSON up to a depth of 5, with numbers as the parser keeps them.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            btree_map(".*", inner, 0..8).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn a_call_is_decoded_as_it_was_encoded(method in ".*", parameters in json()) {
        let envelope = serde_json::json!({ "method": method, "other": 1, "parameters": parameters });
        let call = decode_envelope(&envelope.to_string().into()).unwrap_or_else(|error| panic!("{error}"));
        let RawParams::Json(decoded) = call.params else { unreachable!() };
        prop_assert_eq!(&*call.method, &*method);
        prop_assert_eq!(&*decoded, parameters.to_string());

        let body = format!("\n {parameters}\t");
        let RawParams::Json(decoded) = decode_params(&body.into()).unwrap_or_else(|error| panic!("{error}")) else { unreachable!() };
        prop_assert_eq!(&*decoded, parameters.to_string());
    }

    #[test]
    fn an_error_arrives_as_it_was_sent(message in ".*", code: i32, details in json()) {
        let error = Error::new(code, message.clone()).with_details(details.clone());
        let response = encode_error(StatusCode::BAD_REQUEST, error);
        let expected = format!(r#"{{"error":{{"value":{},"code":{code},"details":{details}}}}}"#, Value::from(message));
        prop_assert_eq!(std::str::from_utf8(&response.body), Ok(&*expected));
    }

    #[test]
    fn any_bytes_are_a_call_or_an_error_of_the_client(body in vec(any::<u8>(), 0..200)) {
        if let Err(error) = decode_envelope(&body.clone().into()) {
            prop_assert!([1002, 1003, 1015].contains(&error.code()));
        }
        if let Err(error) = decode_params(&body.into()) {
            prop_assert_eq!(error.code(), 1015);
        }
    }
}
