//! The mistakes one can make with `#[api]`, and what the compiler says about them.

#[test]
fn macro_mistakes_show_the_allowed_form() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
