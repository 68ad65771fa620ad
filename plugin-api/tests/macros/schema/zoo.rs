//! One type for each thing that the derive understands, and the property run over it.

mod tagged;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use octa_plugin_api::{Json, Schema};
use proptest::collection::{btree_map, hash_map, hash_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::tagged::{Animal, Loose, Message, Mixed, animals, looses, messages, mixed};
use super::{Document, check, document};

macro_rules! zoo {
    ($($test:ident: $type:ty = $values:expr;)+) => {$(
        #[test]
        fn $test() {
            check::<$type>(document!($type), $values);
        }
    )+};
}

/// A person of the zoo.
#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
#[serde(rename_all = "camelCase")]
struct Keeper {
    /// What they are called, "quoted" and with a \ in it.
    full_name: String,
    #[serde(rename = "years")]
    age: u8,
    nick_name: Option<String>,
    #[serde(default)]
    shoe_size: f64,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    r#keys: Vec<i16>,
    #[serde(skip)]
    _secret: u32,
    #[serde(alias = "office", alias = "desk")]
    room: u16,
    #[schema(any)]
    notes: Value,
    more: Json,
}

fn keepers() -> impl Strategy<Value = Keeper> {
    (
        ".*",
        any::<u8>(),
        option::of(".*"),
        -1e6..1e6,
        vec(any::<i16>(), 0..3),
        any::<u16>(),
    )
        .prop_map(
            |(full_name, age, nick_name, shoe_size, keys, room)| Keeper {
                full_name,
                age,
                nick_name,
                shoe_size,
                keys,
                _secret: 0,
                room,
                notes: json!([room, null]),
                more: Json(json!({ "a": age })),
            },
        )
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct CageId(String);

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, default)]
struct Cage {
    id: CageId,
    size: (u8, i32, bool),
    corners: [i8; 4],
    by_name: HashMap<String, char>,
    by_id: BTreeMap<CageId, Option<bool>>,
    by_number: BTreeMap<u16, Box<str>>,
    by_kind: BTreeMap<Kind, ()>,
    tags: HashSet<u64>,
    cleaning: Duration,
}

impl Default for Cage {
    fn default() -> Self {
        Self {
            id: CageId(String::new()),
            size: (0, 0, false),
            corners: [0; 4],
            by_name: HashMap::new(),
            by_id: BTreeMap::new(),
            by_number: BTreeMap::new(),
            by_kind: BTreeMap::new(),
            tags: HashSet::new(),
            cleaning: Duration::ZERO,
        }
    }
}

fn cages() -> impl Strategy<Value = Cage> {
    let ids = || ".{0,3}".prop_map(CageId);
    (
        (
            ids(),
            any::<(u8, i32, bool)>(),
            any::<[i8; 4]>(),
            any::<Duration>(),
        ),
        hash_map(".{0,3}", any::<char>(), 0..3),
        btree_map(ids(), option::of(any::<bool>()), 0..3),
        btree_map(any::<u16>(), ".*".prop_map(String::into_boxed_str), 0..3),
        btree_map(kinds(), Just(()), 0..3),
        hash_set(any::<u64>(), 0..3),
    )
        .prop_map(
            |((id, size, corners, cleaning), by_name, by_id, by_number, by_kind, tags)| Cage {
                id,
                size,
                corners,
                by_name,
                by_id,
                by_number,
                by_kind,
                tags,
                cleaning,
            },
        )
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
enum Kind {
    /// Those who purr.
    BigCat,
    #[serde(alias = "BEAR", alias = "URSA")]
    BrownBear,
    #[serde(rename = "crab \"x\"")]
    Crab,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::BigCat), Just(Kind::BrownBear), Just(Kind::Crab)]
}

/// Recursive with itself and with `Group`.
#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
#[serde(rename_all = "snake_case")]
enum Rule {
    Always,
    Above {
        topic: String,
        value: i32,
    },
    Not(Box<Self>),
    All(Vec<Rule>),
    Pair(Kind, Option<u8>),
    #[serde(alias = "bunch")]
    Group(Group),
    Nothing(),
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
struct Group {
    rules: Vec<Rule>,
    parent: Option<Box<Group>>,
    by_name: BTreeMap<String, Rule>,
}

fn rules() -> impl Strategy<Value = Rule> {
    let leaf = prop_oneof![
        Just(Rule::Always),
        Just(Rule::Nothing()),
        (".*", any::<i32>()).prop_map(|(topic, value)| Rule::Above { topic, value }),
        (kinds(), any::<Option<u8>>()).prop_map(|(kind, number)| Rule::Pair(kind, number)),
    ];
    leaf.prop_recursive(4, 24, 3, |rule| {
        prop_oneof![
            rule.clone().prop_map(|rule| Rule::Not(Box::new(rule))),
            vec(rule.clone(), 0..3).prop_map(Rule::All),
            (vec(rule.clone(), 0..3), btree_map(".{0,3}", rule, 0..2)).prop_map(
                |(rules, by_name)| {
                    let parent = Group {
                        rules: rules.clone(),
                        parent: None,
                        by_name: BTreeMap::new(),
                    };
                    Rule::Group(Group {
                        rules,
                        parent: Some(Box::new(parent)),
                        by_name,
                    })
                }
            ),
        ]
    })
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
struct Place {
    x: i32,
    y: Option<i32>,
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
#[serde(tag = "shape")]
enum Shape {
    Round { r: u8 },
    Square { w: u8 },
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
struct Flat {
    name: String,
    #[serde(flatten)]
    place: Place,
    #[serde(flatten)]
    shape: Shape,
    #[serde(flatten)]
    rest: BTreeMap<String, Json>,
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
struct Strict {
    #[serde(flatten)]
    deep: Deep,
    #[serde(flatten)]
    rest: HashMap<String, u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
struct Deep {
    depth: u32,
}

fn flats() -> impl Strategy<Value = Flat> {
    let shapes = prop_oneof![
        any::<u8>().prop_map(|r| Shape::Round { r }),
        any::<u8>().prop_map(|w| Shape::Square { w })
    ];
    (".*", any::<(i32, Option<i32>)>(), shapes, any::<bool>()).prop_map(
        |(name, (x, y), shape, rest)| Flat {
            name,
            place: Place { x, y },
            shape,
            rest: rest
                .then(|| ("more".to_owned(), Json(json!(1))))
                .into_iter()
                .collect(),
        },
    )
}

fn stricts() -> impl Strategy<Value = Strict> {
    (any::<u32>(), hash_map("[a-c]", any::<u8>(), 0..3)).prop_map(|(depth, rest)| Strict {
        deep: Deep { depth },
        rest,
    })
}

/// A page of anything.
#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
struct Page<T, const N: usize> {
    items: Vec<T>,
    next: Option<T>,
    #[serde(with = "seconds")]
    #[schema(with = u64)]
    after: Duration,
    #[serde(with = "seconds", default)]
    #[schema(with = u64)]
    before: Duration,
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_secs)
    }
}

fn pages() -> impl Strategy<Value = Page<Rule, 3>> {
    (vec(rules(), 0..3), option::of(rules()), any::<u64>()).prop_map(|(items, next, seconds)| {
        let after = Duration::from_secs(seconds);
        Page {
            items,
            next,
            after,
            before: Duration::ZERO,
        }
    })
}

/// Also transparent, by the container's own words.
#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
#[serde(transparent)]
struct Clear {
    inner: Option<Kind>,
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
#[serde(from = "u8", into = "u8")]
#[schema(with = u8)]
struct Converted(u8);

impl From<u8> for Converted {
    fn from(value: u8) -> Self {
        Self(value)
    }
}

impl From<Converted> for u8 {
    fn from(value: Converted) -> Self {
        value.0
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
struct Unit;

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
struct Tuple(u8, #[serde(skip)] (), #[serde(default)] Option<bool>);

#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
struct Odds {
    clear: Clear,
    converted: Converted,
    unit: Unit,
    tuple: Tuple,
    maybe: Option<Converted>,
    nested: Option<Vec<Option<Unit>>>,
}

fn odds() -> impl Strategy<Value = Odds> {
    (option::of(kinds()), any::<u8>(), any::<Option<bool>>()).prop_map(|(inner, number, bit)| {
        Odds {
            clear: Clear { inner },
            converted: Converted(number),
            unit: Unit,
            tuple: Tuple(number, (), bit),
            maybe: bit.map(|_| Converted(number)),
            nested: Some(vec![None, Some(Unit)]),
        }
    })
}

zoo! {
    plain_structs: Keeper = keepers();
    standard_types: Cage = cages();
    unit_variants: Kind = kinds();
    recursive_rules: Rule = rules();
    internal_tags: Animal = animals();
    adjacent_tags: Message = messages();
    no_tags: Loose = looses();
    flattened: Flat = flats();
    flattened_maps: Strict = stricts();
    generic_types: Page<Rule, 3> = pages();
    odds_and_ends: Odds = odds();
    untagged_variants: Mixed = mixed();
}
