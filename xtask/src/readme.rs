//! The commands that the README tells a reader to type.

use anyhow::{Context, Result};

/// Finds the command in a fenced block of `markdown` that starts with the words of `prefix`.
pub(crate) fn command<'a>(markdown: &'a str, prefix: &str) -> Result<Vec<&'a str>> {
    let wanted: Vec<_> = prefix.split_whitespace().collect();
    let mut commands = fenced_lines(markdown).map(words);
    let found = commands.find(|words| words.starts_with(&wanted));
    found.with_context(|| format!("README.md has no fenced command `{prefix}`"))
}

fn fenced_lines(markdown: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    markdown.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        inside && !fence
    })
}

/// The words of a shell line, without its prompt and comment.
fn words(line: &str) -> Vec<&str> {
    let words = line.split_whitespace().skip_while(|word| *word == "$");
    words.take_while(|word| !word.starts_with('#')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(markdown: &str, expect: Option<&[&str]>) {
        assert_eq!(
            command(markdown, "cargo xtask test").ok().as_deref(),
            expect
        );
    }

    #[test]
    fn the_command_is_found_in_a_fence_only() {
        let expect: &[&str] = &["cargo", "xtask", "test"];
        check("```sh\ngit clone x\ncargo xtask test\n```", Some(expect));
        check("```\n$ cargo xtask test   # every test\n```", Some(expect));
        check("cargo xtask test", None);
        check("```\ncargo xtask demo\n```\ncargo xtask test\n", None);
        check("```\ncargo xtask tests\n```", None);
    }

    #[test]
    fn its_options_are_kept() {
        check(
            "```\ncargo xtask test --all\n```",
            Some(&["cargo", "xtask", "test", "--all"]),
        );
    }
}
