//! Holds derived schemas against what serde does: what serde writes fits the schema, and of
//! values changed at random the schema accepts exactly those that serde reads.

mod text;
mod zoo;

use std::cell::Cell;
use std::fmt::Debug;

use boon::{Compiler, SchemaIndex, Schemas};
use octa_plugin_api::schema::{Piece, Schema, length};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The schema's text, written when the test is compiled.
struct Document<T>(T);

impl<T: Schema> Document<T> {
    const PIECES: &[Piece] = &[Piece::Schema(T::SCHEMA)];
    const LENGTH: usize = length(Self::PIECES);
}

macro_rules! document {
    ($type:ty) => {{
        const TEXT: [u8; <Document<$type>>::LENGTH] =
            octa_plugin_api::schema::write(<Document<$type>>::PIECES);
        serde_json::from_slice::<serde_json::Value>(&TEXT).expect("a schema is JSON")
    }};
}
use document;

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new(schema: Value) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler
            .add_resource("schema.json", schema)
            .expect("the schema is well-formed");
        let index = compiler
            .compile("schema.json", &mut schemas)
            .expect("the schema compiles");
        Self { schemas, index }
    }

    fn accepts(&self, value: &Value) -> Result<(), String> {
        self.schemas
            .validate(value, self.index)
            .map_err(|error| format!("{error:#}"))
    }
}

/// Runs the property over values of a type.
fn check<T>(schema: Value, values: impl Strategy<Value = T>)
where
    T: Serialize + DeserializeOwned + Debug,
{
    let validator = Validator::new(schema.clone());
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let mutation = (any::<Index>(), any::<Index>());
    TestRunner::new(config)
        .run(&(values, mutation), |(value, (place, change))| {
            let json = serde_json::to_value(&value).expect("it can be written");
            if let Err(error) = validator.accepts(&json) {
                return Err(TestCaseError::fail(format!(
                    "{json} does not fit {schema}: {error}"
                )));
            }
            let mutated = mutate(json, place, change);
            let read = serde_json::from_str::<T>(&mutated.to_string());
            let fits = validator.accepts(&mutated);
            let counter = if read.is_ok() { &accepted } else { &refused };
            counter.set(counter.get() + 1);
            prop_assert_eq!(
                fits.is_ok(),
                read.is_ok(),
                "{}: {:?}, {:?}",
                mutated,
                fits,
                read
            );
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(
        refused.get() > accepted.get() / 10,
        "the changes tell nothing"
    );
}

/// Changes one place in the value: drops, renames, adds a member, or puts something else there.
fn mutate(mut value: Value, place: Index, change: Index) -> Value {
    let count = places(&mut value, &mut |_| {});
    let (place, mut number) = (place.index(count), 0);
    places(&mut value, &mut |here| {
        if number == place {
            change_here(here, change);
        }
        number += 1;
    });
    value
}

fn places(value: &mut Value, visit: &mut impl FnMut(&mut Value)) -> usize {
    let mut count = 1;
    match value {
        Value::Array(items) => {
            count += items
                .iter_mut()
                .map(|item| places(item, visit))
                .sum::<usize>()
        }
        Value::Object(members) => {
            count += members
                .values_mut()
                .map(|value| places(value, visit))
                .sum::<usize>();
        }
        _ => {}
    }
    visit(value);
    count
}

fn change_here(value: &mut Value, change: Index) {
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(70_000),
        json!("zz"),
        json!({}),
    ];
    match (value, change.index(12)) {
        (Value::Object(members), number) if number >= 6 && !members.is_empty() => {
            let name = members
                .keys()
                .nth(number % members.len())
                .cloned()
                .unwrap_or_default();
            if number % 3 == 0 {
                members.insert("zz".to_owned(), json!("more"));
            } else if let Some(value) = members.remove(&name)
                && number % 3 == 1
            {
                members.insert(format!("{name}z"), value);
            }
        }
        (Value::Array(items), number) if number >= 6 && !items.is_empty() => {
            if number % 2 == 0 {
                items.pop();
            } else {
                items.push(items[0].clone());
            }
        }
        (value, number) => *value = others[number % others.len()].clone(),
    }
}
