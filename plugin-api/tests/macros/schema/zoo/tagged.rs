//! Enums in the taggings that serde has beside its own.

use octa_plugin_api::Schema;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{CageId, Flat, Keeper, Kind, flats, keepers, kinds};

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "UPPERCASE"
)]
pub(super) enum Animal {
    OldLion {
        teeth: u8,
        mane: Option<u8>,
    },
    #[serde(rename_all = "PascalCase")]
    Snake {
        long_tail: i8,
    },
    Keeper(Keeper),
    Stone,
    Both(Flat),
    #[serde(other)]
    Unknown,
}

pub(super) fn animals() -> impl Strategy<Value = Animal> {
    prop_oneof![
        any::<(u8, Option<u8>)>().prop_map(|(teeth, mane)| Animal::OldLion { teeth, mane }),
        any::<i8>().prop_map(|long_tail| Animal::Snake { long_tail }),
        keepers().prop_map(Animal::Keeper),
        Just(Animal::Stone),
        flats().prop_map(Animal::Both),
        Just(Animal::Unknown),
    ]
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
#[serde(tag = "t", content = "c", deny_unknown_fields)]
pub(super) enum Message {
    Empty,
    Perhaps(Option<u8>),
    One(Kind),
    Two(u8, String),
    Named { a: u8, b: Option<bool> },
}

pub(super) fn messages() -> impl Strategy<Value = Message> {
    prop_oneof![
        Just(Message::Empty),
        any::<Option<u8>>().prop_map(Message::Perhaps),
        kinds().prop_map(Message::One),
        (any::<u8>(), ".*").prop_map(|(number, text)| Message::Two(number, text)),
        any::<(u8, Option<bool>)>().prop_map(|(a, b)| Message::Named { a, b }),
    ]
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
#[serde(untagged)]
pub(super) enum Loose {
    Number(u16),
    Word(Kind),
    Nothing,
    Pair(bool, i64),
    Named { only: CageId },
}

pub(super) fn looses() -> impl Strategy<Value = Loose> {
    prop_oneof![
        any::<u16>().prop_map(Loose::Number),
        kinds().prop_map(Loose::Word),
        Just(Loose::Nothing),
        any::<(bool, i64)>().prop_map(|(one, two)| Loose::Pair(one, two)),
        ".*".prop_map(|only| Loose::Named { only: CageId(only) }),
    ]
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
pub(super) enum Mixed {
    Lone,
    #[serde(untagged)]
    Number(i8),
    #[serde(untagged)]
    Place {
        at: u8,
    },
}

pub(super) fn mixed() -> impl Strategy<Value = Mixed> {
    prop_oneof![
        Just(Mixed::Lone),
        any::<i8>().prop_map(Mixed::Number),
        any::<u8>().prop_map(|at| Mixed::Place { at }),
    ]
}
