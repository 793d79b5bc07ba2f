//! Text on its way to a terminal.

/// Sentences, broken between words into lines of at most `width` characters; a word that is longer has a line of its own.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What somebody else wrote, without what a terminal would obey: line ends and tabs become spaces, other control
/// characters (C0, DEL, C1) and those that turn the direction of writing become U+FFFD.
pub(crate) fn clean(text: &str) -> String {
    let harmless = |character: char| match character {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        other if other.is_control() => '\u{fffd}',
        other => other,
    };
    text.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_broken_between_words() {
        assert_eq!(wrapped("the peer does not answer", 10), ["the peer", "does not", "answer"]);
        assert_eq!(wrapped("unbreakable", 4), ["unbreakable"]);
        assert!(wrapped("", 10).is_empty());
    }

    #[test]
    fn nothing_is_left_that_a_terminal_would_obey() {
        assert_eq!(clean("a\u{1b}[2Jb\u{9b}31m\u{7f}\u{202e}c"), "a\u{fffd}[2Jb\u{fffd}31m\u{fffd}\u{fffd}c");
        assert_eq!(clean("two\r\nlines\u{2028}äöü"), "two  lines äöü");
    }
}
