//! Schemas of the standard library's types, in the form serde gives them, and of raw bytes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize, Saturating, Wrapping};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Field, Node, Presence, Scalar, Schema};
use crate::Payload;

macro_rules! scalars {
    ($($kind:ident $members:expr => $($type:ty),+;)+) => {$($(
        impl Schema for $type {
            const SCHEMA: &'static Node =
                &Node::Scalar { kind: Scalar::$kind, members: $members };
        }
    )+)+};
}

macro_rules! integers {
    ($($min:literal ..= $max:literal => $($type:ty),+;)+) => {
        scalars! {$(
            Integer concat!(
                "\"type\":\"integer\",\"minimum\":", $min, ",\"maximum\":", $max
            ) => $($type),+;
        )+}
    };
}

macro_rules! transparent {
    ($($type:ty),+ $(,)?) => {$(
        impl<T: Schema + ?Sized> Schema for $type {
            const SCHEMA: &'static Node = T::SCHEMA;
        }
    )+};
}

macro_rules! lists {
    ($($type:ident),+ $(,)?) => {$(
        impl<T: Schema> Schema for $type<T> {
            const SCHEMA: &'static Node = <[T]>::SCHEMA;
        }
    )+};
}

macro_rules! tuples {
    ($($count:literal: $($name:ident)+;)+) => {$(
        impl<$($name: Schema),+> Schema for ($($name,)+) {
            const SCHEMA: &'static Node =
                &Node::Tuple { items: &[$($name::SCHEMA),+], required: $count };
        }
    )+};
}

macro_rules! records {
    ($([$($generic:ident)?] $type:ty, $closed:literal: $($name:literal $field:ty),+;)+) => {$(
        impl$(<$generic: Schema>)? Schema for $type {
            const SCHEMA: &'static Node = &Node::Object {
                fields: &[$(Field {
                    name: $name,
                    aliases: &[],
                    node: <$field>::SCHEMA,
                    presence: Presence::ByType,
                }),+],
                flattened: &[],
                closed: $closed,
            };
        }
    )+};
}

scalars! {
    Null "\"type\":\"null\"" => ();
    Boolean "\"type\":\"boolean\"" => bool;
    // As floats, JSON numbers of this size would lose digits in a schema.
    Integer "\"type\":\"integer\"" => i128;
    Integer "\"type\":\"integer\",\"minimum\":0" => u128;
    Number "\"type\":\"number\"" => f32, f64;
    Text "\"type\":\"string\"" => str, String, Path, PathBuf;
    Word "\"type\":\"string\",\"minLength\":1,\"maxLength\":1" => char;
    Word "\"type\":\"string\",\"format\":\"ipv4\"" => Ipv4Addr;
    Word "\"type\":\"string\",\"format\":\"ipv6\"" => Ipv6Addr;
    Word "\"type\":\"string\",\"anyOf\":[{\"format\":\"ipv4\"},{\"format\":\"ipv6\"}]" => IpAddr;
    Text "\"type\":\"string\"" => SocketAddr;
}

integers! {
    -128..=127 => i8;
    -32768..=32767 => i16;
    -2147483648..=2147483647 => i32;
    -9223372036854775808..=9223372036854775807 => i64, isize;
    0..=255 => u8;
    0..=65535 => u16;
    0..=4294967295 => u32;
    0..=18446744073709551615 => u64, usize;
    1..=255 => NonZeroU8;
    1..=65535 => NonZeroU16;
    1..=4294967295 => NonZeroU32;
    1..=18446744073709551615 => NonZeroU64, NonZeroUsize;
}

transparent!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

impl<T: Schema + ToOwned + ?Sized> Schema for Cow<'_, T> {
    const SCHEMA: &'static Node = T::SCHEMA;
}

impl<T: Schema> Schema for Wrapping<T> {
    const SCHEMA: &'static Node = T::SCHEMA;
}

impl<T: Schema> Schema for Saturating<T> {
    const SCHEMA: &'static Node = T::SCHEMA;
}

impl<T: ?Sized> Schema for PhantomData<T> {
    const SCHEMA: &'static Node = <()>::SCHEMA;
}

impl<T: Schema> Schema for Option<T> {
    const SCHEMA: &'static Node = &Node::Nullable { inner: T::SCHEMA };
}

impl<T: Schema> Schema for [T] {
    const SCHEMA: &'static Node = &Node::List {
        items: T::SCHEMA,
        length: None,
    };
}

impl<T: Schema, const N: usize> Schema for [T; N] {
    const SCHEMA: &'static Node = &Node::List {
        items: T::SCHEMA,
        length: Some(N),
    };
}

lists!(Vec, VecDeque, LinkedList, BinaryHeap, BTreeSet);

impl<T: Schema, S> Schema for HashSet<T, S> {
    const SCHEMA: &'static Node = <[T]>::SCHEMA;
}

impl<K: Schema, V: Schema, S> Schema for HashMap<K, V, S> {
    const SCHEMA: &'static Node = &Node::Map {
        keys: K::SCHEMA,
        values: V::SCHEMA,
    };
}

impl<K: Schema, V: Schema> Schema for BTreeMap<K, V> {
    const SCHEMA: &'static Node = &Node::Map {
        keys: K::SCHEMA,
        values: V::SCHEMA,
    };
}

tuples! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
}

records! {
    [] Duration, true: "secs" u64, "nanos" u32;
    [] SystemTime, true: "secs_since_epoch" u64, "nanos_since_epoch" u32;
    [T] Range<T>, true: "start" T, "end" T;
    [T] RangeInclusive<T>, true: "start" T, "end" T;
}

impl Schema for Payload {
    const SCHEMA: &'static Node = &Node::Described {
        text: "\"Raw bytes.\"",
        inner: &Node::Any,
    };
}
