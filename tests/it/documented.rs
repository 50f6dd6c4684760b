//! Holds the documents to the sources: file heads, file sizes, the map, and the table of settings.

use crate::sources::{self, Source};

/// The ceiling; about 200 is the rule.
const FILE_LINES_MAX: usize = 500;

/// What people write by hand, and so have to read; data may be as long as it is.
const WRITTEN: [&str; 8] = ["rs", "py", "sh", "js", "css", "html", "sql", "md"];

#[test]
fn every_source_opens_with_one_sentence() {
    let found: Vec<String> = sources::below("src").iter().filter_map(head_slip).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn no_file_is_too_long_to_read() {
    let all = ["src", "tests/it", "benches"].map(sources::below).into_iter().flatten();
    let found: Vec<String> = all.filter_map(|source| size_slip(&source)).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_map_shows_every_room_and_every_file() {
    let files: Vec<String> = sources::below("src").into_iter().map(|one| one.path).collect();
    let found = map_slips(&sources::text("ARCHITECTURE.md"), &files);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[cfg(feature = "engine")]
#[test]
fn the_readme_lists_the_settings_of_the_engine() {
    let slip = settings_slip(&sources::text("README.md"), &engine_settings());
    assert!(slip.is_none(), "\n{}\n", slip.unwrap_or_default());
}

/// The one place here that knows the engine's own list.
#[cfg(feature = "engine")]
fn engine_settings() -> Vec<Row> {
    let settings = potoroo::engine::config::SETTINGS.iter();
    settings
        .map(|setting| [setting.name, setting.default, setting.meaning].map(str::to_owned))
        .collect()
}

/// One line of the settings table: name, default, meaning.
type Row = [String; 3];

/// What is wrong with the `//!` lines of one Rust file.
fn head_slip(source: &Source) -> Option<String> {
    let path = &source.path;
    if !path.ends_with(".rs") {
        return None;
    }
    let slip = |line: usize, what: &str| Some(format!("{path}:{line}: {what}"));
    if !source.text.starts_with("//! ") {
        return slip(1, "no `//!` line; open with one sentence that makes sense on the phone");
    }
    let lines: Vec<(usize, &str)> = source
        .text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix("//!")?.trim())))
        .collect();
    let first = lines.iter().zip(1..).take_while(|((at, text), n)| at == n && !text.is_empty());
    let first: Vec<&str> = first.map(|((_, text), _)| *text).collect();
    let sentence = first.join(" ");
    if !sentence.ends_with('.') {
        return slip(first.len(), "the first `//!` paragraph has no full stop; make it a sentence");
    }
    if let Some(second) = second_sentence(&sentence) {
        let what = format!(
            "the first `//!` paragraph goes on after its first sentence (`{second}`); say it in \
             one, and the rest at the items it is about"
        );
        return slip(1, &what);
    }
    let may_say_more = path == "src/lib.rs" || path.ends_with("/mod.rs");
    let (line, _) = *lines.get(first.len()).filter(|_| !may_say_more)?;
    slip(
        line,
        "a second `//!` paragraph; only lib.rs and the mod.rs of a folder have more than \
         one sentence, so move it there or to the item it is about",
    )
}

/// The beginning of whatever follows the first sentence.
fn second_sentence(paragraph: &str) -> Option<&str> {
    const ABBREVIATIONS: [&str; 5] = ["e.g.", "i.e.", "etc.", "cf.", "vs."];
    let words: Vec<&str> = paragraph.split(' ').collect();
    words.windows(2).find_map(|pair| {
        let bare = pair[0].trim_end_matches(['`', '"', ')', '*']);
        let ends = bare.ends_with(['.', '!', '?']);
        let abbreviated = ABBREVIATIONS.contains(&bare.trim_start_matches('('));
        let begins = pair[1].starts_with(|c: char| c.is_uppercase() || c == '`' || c == '[');
        (ends && !abbreviated && begins).then_some(pair[1])
    })
}

fn size_slip(source: &Source) -> Option<String> {
    let (_, extension) = source.path.rsplit_once('.')?;
    let lines = source.text.lines().count();
    (WRITTEN.contains(&extension) && lines > FILE_LINES_MAX).then(|| {
        format!(
            "{}:{lines}: {lines} lines, and {FILE_LINES_MAX} is the limit; which two ideas live \
             here? Give each its file",
            source.path
        )
    })
}

/// Where the map and the tree disagree. `files` are paths such as `src/http/mod.rs`.
fn map_slips(map: &str, files: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut mapped: Vec<&str> = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    for (index, line) in map.lines().enumerate() {
        let at = index + 1;
        let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        for path in quoted.iter().filter(|word| word.starts_with("src/")) {
            let folder = format!("{}/", path.trim_end_matches('/'));
            let there = files.iter().any(|file| file == path || file.starts_with(&folder));
            if !there {
                found.push(format!(
                    "ARCHITECTURE.md:{at}: `{path}` is a ghost: no such file; take the line out, \
                     or name what it became"
                ));
            }
        }
        words.extend(&quoted);
        if let Some((path, sentence)) =
            line.trim().strip_prefix("- `src/").and_then(|rest| rest.split_once('`'))
        {
            if sentence.trim_start_matches([':', ' ']).is_empty() {
                found.push(format!("ARCHITECTURE.md:{at}: say what `src/{path}` is for"));
            }
            if mapped.contains(&path) {
                found.push(format!("ARCHITECTURE.md:{at}: `src/{path}` has a line already"));
            }
            mapped.push(path);
        }
    }
    let mut rooms: Vec<&str> = Vec::new();
    for file in files {
        let inner = file.strip_prefix("src/").unwrap_or(file);
        if !mapped.contains(&inner) {
            found.push(format!(
                "{file}:1: a stranger: no line in ARCHITECTURE.md; add \"- `{file}`: …\" with a \
                 sentence on what it is for"
            ));
        }
        let first = inner.split('/').next().unwrap_or(inner);
        let room = first.trim_end_matches(".rs");
        if !matches!(room, "lib" | "bin") && !rooms.contains(&room) {
            rooms.push(room);
        }
    }
    for room in rooms {
        let names = [room.to_owned(), format!("src/{room}"), format!("src/{room}.rs")];
        let named = words.iter().any(|word| names.iter().any(|n| n == word.trim_end_matches('/')));
        if !named {
            found.push(format!(
                "ARCHITECTURE.md:1: the room `{room}` is not named; add it with its layer"
            ));
        }
    }
    found
}

/// The cells of a line of a Markdown table, without the code marks around them.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{0}");
    let cell = |text: &str| {
        let text = text.trim();
        let code = text.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        // "`true` logs a line" is a sentence that begins with code, not code.
        code.filter(|code| !code.contains('`')).unwrap_or(text).replace('\u{0}', "|")
    };
    inner.split('|').map(cell).collect()
}

/// What is wrong with the README's table of settings, with the table as it should be.
fn settings_slip(readme: &str, wanted: &[Row]) -> Option<String> {
    let lines: Vec<&str> = readme.lines().collect();
    let is_header = |line: &&str| cells(line).iter().map(|c| c.to_lowercase()).eq(HEADER);
    let header = lines.iter().position(is_header);
    let table = header.map_or(&[][..], |at| lines.get(at + 2..).unwrap_or(&[]));
    let rows = table.iter().take_while(|line| line.trim_start().starts_with('|'));
    let shown: Vec<Vec<String>> = rows.map(|line| cells(line)).collect();
    if header.is_some() && shown.iter().map(Vec::as_slice).eq(wanted.iter().map(|row| &row[..])) {
        return None;
    }
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}` ") };
    let row = |[name, default, meaning]: &Row| {
        format!("| `{name}` | {}| {} |", code(default), meaning.replace('|', "\\|"))
    };
    let table: Vec<String> = wanted.iter().map(row).collect();
    Some(format!(
        "README.md:{}: the table of settings is not what `engine::config::SETTINGS` says; put \
         this there:\n\n| Setting | Default | Meaning |\n| --- | --- | --- |\n{}",
        header.map_or(1, |at| at + 1),
        table.join("\n")
    ))
}

/// How the table of settings is recognised.
const HEADER: [&str; 3] = ["setting", "default", "meaning"];

mod tests;
