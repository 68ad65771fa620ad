//! Each file in `misuse/` is one mistake; the file beside it pins what the author reads.

#[test]
fn mistakes_are_explained_where_they_are_made() {
    trybuild::TestCases::new().compile_fail("tests/macros/misuse/*.rs");
}
