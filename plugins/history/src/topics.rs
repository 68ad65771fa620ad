//! Patterns of topics: `*` is one segment, `**` at the end the whole rest.

/// Whether `topic` is one of those that `pattern` means.
pub(crate) fn matches(pattern: &str, topic: &str) -> bool {
    let mut segments = topic.split('.');
    for part in pattern.split('.') {
        match (part, segments.next()) {
            ("**", segment) => return segment.is_some(),
            ("*", Some(_)) => {}
            (part, Some(segment)) if part == segment => {}
            _ => return false,
        }
    }
    segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_mean_topics() {
        for (pattern, topic, expected) in [
            ("**", "a", true),
            ("a.**", "a.b.c", true),
            ("a.**", "a", false),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("*.b", "a.b", true),
            ("a.b", "a.b", true),
            ("a.b", "a", false),
            ("a", "a.b", false),
        ] {
            assert_eq!(matches(pattern, topic), expected, "{pattern} {topic}");
        }
    }
}
