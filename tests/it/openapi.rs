//! The description of the service holds for its real answers.

use serde_json::{Value, json};

use crate::support::{Daemon, photos};

/// Fails unless `value` is as `schema` says; `at` is where in the answer it stands. Covers what our
/// description uses.
fn check(api: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    check_part(api, schema, value, at, false)
}

/// The same; where `is_part`, other parts of an `allOf` may describe further fields.
fn check_part(
    api: &Value,
    schema: &Value,
    value: &Value,
    at: &str,
    is_part: bool,
) -> Result<(), String> {
    if let Some(target) = schema["$ref"].as_str() {
        let found = api.pointer(target.trim_start_matches('#'));
        let found = found.ok_or_else(|| format!("{target} leads nowhere"))?;
        return check_part(api, found, value, at, is_part);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let failures: Vec<_> = choices
            .iter()
            .map_while(|choice| check(api, choice, value, at).err())
            .collect();
        return if failures.len() < choices.len() {
            Ok(())
        } else {
            Err(failures.join(" and "))
        };
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check_part(api, part, value, at, true)?;
    }
    let allowed: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() && allowed.contains(&"integer") => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !allowed.contains(&actual) {
        return Err(format!("{at} is {actual}, not {allowed:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{at} is {value}, which is not listed"));
    }
    if let Some(items) = value.as_array() {
        for (bound, is_kept) in [
            (
                "minItems",
                (|count, bound| count >= bound) as fn(u64, u64) -> bool,
            ),
            ("maxItems", |count, bound| count <= bound),
        ] {
            if let Some(bound_at) = schema[bound].as_u64()
                && !is_kept(items.len() as u64, bound_at)
            {
                return Err(format!(
                    "{at} has {} items, {bound} is {bound_at}",
                    items.len()
                ));
            }
        }
        for (index, item) in items.iter().enumerate() {
            check(api, &schema["items"], item, &format!("{at}[{index}]"))?;
        }
    }
    if let (Some(fields), Some(properties)) = (value.as_object(), schema["properties"].as_object())
    {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(required.as_str().unwrap_or_default()) {
                return Err(format!("{at} has no {required}"));
            }
        }
        for (name, field) in fields {
            match properties.get(name) {
                Some(schema) => check(api, schema, field, &format!("{at}.{name}"))?,
                None if is_part => {}
                None => return Err(format!("{at}.{name} is not described")),
            }
        }
    }
    Ok(())
}

#[track_caller]
fn holds(api: &Value, path: &str, method: &str, status: &str, answer: &Value) {
    let content = &api["paths"][path][method]["responses"][status]["content"];
    let (_, described) = content
        .as_object()
        .and_then(|kinds| kinds.iter().next())
        .unwrap();
    check(api, &described["schema"], answer, path)
        .unwrap_or_else(|wrong| panic!("{wrong}\n{answer}"));
}

#[test]
fn real_answers_are_as_described() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let api = client.get("/openapi.json").ok();
    assert_eq!(api["openapi"], "3.1.0");
    let photo = photos::astronaut();

    let extracted = client.extract(&photo, "?faces=all").ok();
    holds(&api, "/v1/extract", "post", "200", &extracted);
    holds(
        &api,
        "/v1/quality",
        "post",
        "200",
        &client.quality(&photo, "").ok(),
    );
    let nobody = photos::jpeg(&photos::without_face(320, 320, 9), 90);
    holds(
        &api,
        "/v1/quality",
        "post",
        "200",
        &client.quality(&nobody, "").ok(),
    );
    holds(
        &api,
        "/v1/compare",
        "post",
        "200",
        &client.compare(&photo, &photo, "?embedding=true").ok(),
    );
    let side = json!({ "embedding": extracted["faces"][0]["embedding"] });
    let body = json!({ "probe": side, "reference": side });
    holds(
        &api,
        "/v1/compare",
        "post",
        "200",
        &client.post_json("/v1/compare", &body).ok(),
    );
    for path in ["/v1/info", "/v1/inferences", "/healthz", "/readyz"] {
        holds(&api, path, "get", "200", &client.get(path).ok());
    }
    let told = json!({ "request_id": extracted["request_id"], "outcome": "genuine" });
    let told = client.post_json("/v1/feedback", &told).ok();
    holds(&api, "/v1/feedback", "post", "200", &told);
    let problem = client.compare(&photo, &nobody, "").problem(422, "no_face");
    holds(&api, "/v1/compare", "post", "422", &problem);
    let problem = client
        .extract(&photo, "?face=all")
        .problem(400, "invalid_parameter");
    holds(&api, "/v1/extract", "post", "400", &problem);
}
