//! The project's own sources as data: which files there are, and which paths their code names.

use std::{fs, path::Path};

/// One file: its path from the package's root, with `/`, and its text.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A path that code names, such as `crate::http::server`, one for each leaf of a brace group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// Counted from 1.
    pub(crate) line: usize,
    /// Inside the crate, or into another one by its first segment.
    pub(crate) inside: bool,
    /// From the root of the crate, `super` resolved; a glob ends in `*`.
    pub(crate) path: Vec<String>,
    /// Compiled for tests only.
    pub(crate) test: bool,
}

/// What one file says to the rest of the crate.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) uses: Vec<Use>,
    /// Every `mod name`, with its line.
    pub(crate) declared: Vec<(usize, String)>,
    /// Modules in files of their own that are compiled for tests only.
    pub(crate) test_modules: Vec<Vec<String>>,
}

/// Where the package lies.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of one file of the package.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below one folder of the package, sorted by path; none if there is no such folder.
pub(crate) fn below(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries {
            let entry = entry.unwrap_or_else(|error| panic!("{folder}: {error}"));
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                waiting.push(path);
            } else {
                let bytes = fs::read(entry.path()).unwrap_or_else(|e| panic!("{path}: {e}"));
                found.push(Source { path, text: String::from_utf8_lossy(&bytes).into_owned() });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// `src/http/server/mod.rs` and `src/http/server.rs` are `["http", "server"]`; the root is empty.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// Reads the code of one file; comments and literals name nothing.
pub(crate) fn scan(source: &Source) -> Scan {
    let code = masked(&source.text);
    let tokens = tokens(&code);
    let tests = test_ranges(&tokens);
    let mut scan = Scan::default();
    let mut module = module_of(&source.path);
    let mut inline: Vec<usize> = Vec::new(); // the depth outside each `mod name { … }` we are in
    let (mut at, mut depth) = (0, 0_usize);
    while at < tokens.len() {
        let token = &tokens[at];
        let test = tests.iter().any(|(from, to)| (*from..*to).contains(&at));
        if token.text == "mod" && is_name(word(&tokens, at + 1)) {
            let name = word(&tokens, at + 1).to_owned();
            scan.declared.push((token.line, name.clone()));
            let opens = word(&tokens, at + 2) == "{";
            if opens {
                inline.push(depth);
                module.push(name);
                depth += 1;
            } else if test {
                scan.test_modules.push([module.clone(), vec![name]].concat());
            }
            at += 3;
        } else if starts_path(&tokens, at) {
            let mut leaves = Vec::new();
            let end = leaves_of(&tokens, at, &[], &mut leaves);
            for (line, path) in leaves {
                scan.uses.push(resolved(&module, line, path, test));
            }
            at = end;
        } else {
            match token.text {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    if inline.last() == Some(&depth) {
                        inline.pop();
                        module.pop();
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
    scan
}

#[derive(Debug)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

fn word<'a>(tokens: &[Token<'a>], at: usize) -> &'a str {
    tokens.get(at).map_or("", |token| token.text)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names, `::`, and every other visible character by itself.
fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (index, line_text) in code.lines().enumerate() {
        let mut rest = line_text.trim_start();
        while let Some(first) = rest.chars().next() {
            let wide = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            let length = match wide {
                None => rest.len(),
                Some(0) if rest.starts_with("::") => 2,
                Some(0) => first.len_utf8(),
                Some(length) => length,
            };
            found.push(Token { text: &rest[..length], line: index + 1 });
            rest = rest[length..].trim_start();
        }
    }
    found
}

/// Whether a path begins here that may lead out of this module: `name::…` or after `use`.
fn starts_path(tokens: &[Token<'_>], at: usize) -> bool {
    let back = |steps: usize| if at < steps { "" } else { tokens[at - steps].text };
    let (here, before, owner) = (tokens[at].text, back(1), back(2));
    if before == "use" && here != "::" {
        // `use<…>` of a type says what it captures, and uses nothing; what a macro's `use $name` uses
        // stands where the macro is asked.
        return here != "<" && here != "$";
    }
    if !is_name(here) || here == "use" {
        return false;
    }
    // `::name` begins a path of its own unless something that could own it stands before.
    if before == "::" && (is_name(owner) && owner != "use" || owner == ">") {
        return false;
    }
    let after_use = before == "::" && owner == "use";
    let extern_crate = before == "crate" && owner == "extern";
    word(tokens, at + 1) == "::" || after_use || extern_crate
}

/// Collects the leaves of the path at `at`, brace groups opened, and returns where it ends.
fn leaves_of(
    tokens: &[Token<'_>],
    mut at: usize,
    stem: &[String],
    leaves: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let mut path = stem.to_vec();
    loop {
        let line = tokens.get(at).map_or(0, |token| token.line);
        match word(tokens, at) {
            "{" => {
                at += 1;
                while !matches!(word(tokens, at), "}" | "") {
                    at = leaves_of(tokens, at, &path, leaves);
                    while !matches!(word(tokens, at), "," | "}" | "") {
                        at += 1; // `as name`
                    }
                    at += usize::from(word(tokens, at) == ",");
                }
                return at + 1;
            }
            "*" => {
                path.push("*".to_owned());
                leaves.push((line, path));
                return at + 1;
            }
            name if is_name(name) => path.push(name.to_owned()),
            _ => {
                // `Type::<…>` and the like: the path is what came before.
                leaves.push((line, path));
                return at;
            }
        }
        if word(tokens, at + 1) != "::" {
            leaves.push((line, path));
            return at + 1;
        }
        at += 2;
    }
}

fn resolved(module: &[String], line: usize, path: Vec<String>, test: bool) -> Use {
    let inside = matches!(path[0].as_str(), "crate" | "self" | "super");
    if !inside {
        return Use { line, inside, path, test };
    }
    let mut base = if path[0] == "crate" { Vec::new() } else { module.to_vec() };
    let mut rest = path.as_slice();
    while let Some(first @ ("crate" | "self" | "super")) = rest.first().map(String::as_str) {
        if first == "super" {
            base.pop();
        }
        rest = &rest[1..];
    }
    base.extend_from_slice(rest);
    Use { line, inside, path: base, test }
}

/// Where the items under `#[cfg(test)]` or `#[cfg(all(test, …))]` begin and end.
fn test_ranges(tokens: &[Token<'_>]) -> Vec<(usize, usize)> {
    let texts: Vec<&str> = tokens.iter().map(|token| token.text).collect();
    let mut ranges = Vec::new();
    for at in 0..texts.len() {
        let here = &texts[at..];
        if here.starts_with(&["#", "!", "[", "cfg", "(", "test", ")"]) {
            ranges.push((0, texts.len()));
        }
        let plain = here.starts_with(&["#", "[", "cfg", "(", "test", ")"]);
        if plain || here.starts_with(&["#", "[", "cfg", "(", "all", "(", "test", ","]) {
            ranges.push((at, item_end(&texts, at)));
        }
    }
    ranges
}

/// The end of the item at `at`: its `;`, or the brace that closes it; attributes come before it.
fn item_end(texts: &[&str], mut at: usize) -> usize {
    let mut open = 0_usize;
    let mut attribute = false;
    while at < texts.len() {
        match texts[at] {
            "#" if open == 0 => attribute = true,
            "{" | "(" | "[" => open += 1,
            closing @ ("}" | ")" | "]") => {
                open = open.saturating_sub(1);
                if open == 0 && attribute {
                    attribute = false;
                } else if open == 0 && closing == "}" {
                    return at + 1;
                }
            }
            ";" if open == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The code with comments, strings and characters blanked, and every line where it was.
pub(crate) fn masked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where the comment, string or character that begins at `at` ends, or `at` if none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let here = |offset: usize| chars.get(at + offset).copied().unwrap_or('\0');
    let find = |from: usize, wanted: char| {
        chars.iter().skip(from).position(|c| *c == wanted).map_or(chars.len(), |n| from + n)
    };
    let in_name = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match (here(0), here(1)) {
        ('/', '/') => find(at, '\n'),
        ('/', '*') => block_end(chars, at),
        ('"', _) => quoted_end(chars, at, '"'),
        ('\'', '\\') => quoted_end(chars, at, '\''),
        ('\'', _) if here(2) == '\'' => at + 3,
        ('r', '"' | '#') if !in_name || matches!(chars[at - 1], 'b' | 'c') => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if here(1 + hashes) != '"' {
                return at; // a raw name, `r#type`
            }
            let mut end = find(at + 2 + hashes, '"');
            while end < chars.len() && !chars[end + 1..].starts_with(&vec!['#'; hashes]) {
                end = find(end + 1, '"');
            }
            (end + 1 + hashes).min(chars.len())
        }
        _ => at,
    }
}

/// Block comments nest.
fn block_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < chars.len() {
        if chars[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if chars[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn quoted_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}
