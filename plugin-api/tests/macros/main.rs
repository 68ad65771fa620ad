//! The macros from outside: what they make of an author's types and impls, and what they say to
//! one who misuses them.

mod manifest;
mod misuse;
mod schema;
