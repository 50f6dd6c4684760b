//! `install-service` and `uninstall-service`: the engine as a unit of systemd, without a package.

use super::Variables;
use super::config::{ConfigError, Partial, SETTINGS};
use crate::disk::{self, DurableFile};
use crate::exit::{Exit, Failure};
use crate::logging::announce;
use crate::supervisor::{Program, UnitSettings, unit};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where administrators' units are.
const UNIT: &str = "etc/systemd/system/potoroo-engine.service";

/// Where a package's unit is: one of ours would hide it.
const PACKAGED: [&str; 2] =
    ["usr/lib/systemd/system/potoroo-engine.service", "lib/systemd/system/potoroo-engine.service"];

/// Settings, login and bundle; its mode lets nobody but root read it.
const ENVIRONMENT: &str = "etc/potoroo/engine.env";

/// The first line of units of ours: what has another is somebody else's.
const MARK: &str = "# Written by `potoroo-engine install-service`, which writes it anew.\n";

/// The unit keeps what is fetched where systemd says.
const BY_UNIT: &str = "POTOROO_PERSIST";

/// Directories that a hardened unit does not see, and that do not outlive a start.
const UNSEEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// Bytes of a file that is read here: units and settings are some kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How the commands are to be carried out.
struct Manner {
    /// Nothing is written, and everything told.
    dry_run: bool,
    /// The root directory of the system that is installed into.
    root: PathBuf,
}

impl Manner {
    /// `--dry-run`, `--root DIRECTORY`.
    fn of(words: &[&str]) -> Result<Manner, Failure> {
        let mut manner = Manner { dry_run: false, root: "/".into() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (*word, words.as_slice()) {
                ("--dry-run", _) => manner.dry_run = true,
                ("--root", [directory, ..]) => {
                    manner.root = directory.into();
                    words.next();
                }
                _ => {
                    return Err(Failure::new(Exit::Usage, format!("unknown argument: {word}"))
                        .hint("`--dry-run` and `--root DIRECTORY` are known here"));
                }
            }
        }
        Ok(manner)
    }

    /// Writes a file, unless it is as it should be, and says so.
    fn write(&self, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
        let path = self.root.join(name);
        let is_so = read(&path)?.as_deref() == Some(text)
            && fs::metadata(&path).is_ok_and(|it| it.permissions().mode() & 0o777 == mode);
        if is_so {
            announce(&format!("{} is as it should be", path.display()));
            return Ok(());
        }
        if self.dry_run {
            announce(&format!("{} would be written, mode {mode:04o}", path.display()));
            return Ok(());
        }
        let parent = path.parent().unwrap_or(&self.root);
        disk::make_directory(parent).map_err(unwritten)?;
        // Private from its first byte on, whatever it is to be.
        let mut file = DurableFile::create_private(parent).map_err(unwritten)?;
        file.write_all(text.as_bytes())
            .map_err(disk::failed(disk::Step::Write, &path))
            .map_err(unwritten)?;
        file.persist(&path).map_err(unwritten)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))
            .map_err(disk::failed(disk::Step::Write, &path))
            .map_err(unwritten)?;
        announce(&format!("{} is written, mode {mode:04o}", path.display()));
        Ok(())
    }
}

/// Writes the unit and the file with its settings, which are those of this environment over those
/// that the file has already. Started is nothing.
///
/// # Errors
/// When a setting is wrong, something of others is in the way, or the files cannot be written.
pub fn install_service(variables: Variables, words: &[&str]) -> Result<(), Failure> {
    let manner = Manner::of(words)?;
    let unit_path = manner.root.join(UNIT);
    if let Some(packaged) = PACKAGED.iter().map(|it| manner.root.join(it)).find(|it| it.exists()) {
        let sentence = format!("a package has brought {}", packaged.display());
        return Err(Failure::new(Exit::Usage, sentence)
            .hint("put the settings into /etc/potoroo/engine.env, and start potoroo-engine"));
    }
    if read(&unit_path)?.is_some_and(|text| !text.starts_with(MARK)) {
        let sentence = format!("{} was not written by this command", unit_path.display());
        return Err(
            Failure::new(Exit::Usage, sentence).hint("move it away, if it is of no use any more")
        );
    }
    let directory = directory(&std::env::current_exe().unwrap_or_default())?;

    let before = read(&manner.root.join(ENVIRONMENT))?.unwrap_or_default();
    let mut settings = settings_of(&before);
    let given = variables.into_iter().filter(|(name, value)| {
        let is_known = SETTINGS.iter().any(|setting| setting.name == name) && name != BY_UNIT;
        is_known && !value.trim().is_empty()
    });
    settings.extend(given);
    let all: Variables = settings.clone().into_iter().collect();
    let problems = Partial::read(&all).problems;
    if !problems.is_empty() {
        return Err(Failure::new(Exit::Usage, ConfigError::of(problems))
            .hint("set what is missing for this command, as for the engine itself"));
    }
    if let Some((name, _)) = settings.iter().find(|(_, value)| value.contains(['\n', '\0'])) {
        return Err(Failure::new(Exit::Usage, format!("{name} has several lines"))
            .hint("name a file that holds it with the variable that ends in _FILE"));
    }

    let layout = settings.get("PIPELINE_URL").and_then(|url| url.strip_prefix("oci-layout:"));
    let reads_homes = layout.is_some_and(is_unseen);
    let settings_of_unit = UnitSettings { directory: &directory, variables: &[], reads_homes };
    let text = format!("{MARK}{}", unit(Program::Engine, settings_of_unit));
    manner.write(ENVIRONMENT, &environment_file(&settings, &before), 0o600)?;
    manner.write(UNIT, &text, 0o644)?;
    announce("next: systemctl daemon-reload && systemctl enable --now potoroo-engine");
    Ok(())
}

/// Takes the unit away. Settings, models and the session of an edge stay.
///
/// # Errors
/// When the unit is somebody else's, or cannot be removed.
pub fn uninstall_service(_variables: Variables, words: &[&str]) -> Result<(), Failure> {
    let manner = Manner::of(words)?;
    let path = manner.root.join(UNIT);
    let Some(text) = read(&path)? else {
        announce(&format!("{} is not there", path.display()));
        return Ok(());
    };
    if !text.starts_with(MARK) {
        let sentence = format!("{} was not written by this command", path.display());
        return Err(Failure::new(Exit::Usage, sentence).hint("remove it by hand, if you mean to"));
    }
    let wanted =
        manner.root.join("etc/systemd/system/multi-user.target.wants/potoroo-engine.service");
    if fs::symlink_metadata(&wanted).is_ok() {
        let sentence = "the service is still enabled, and would be missed at the next start";
        return Err(Failure::new(Exit::Usage, sentence)
            .hint("run `systemctl disable --now potoroo-engine` first"));
    }
    if manner.dry_run {
        announce(&format!("{} would be removed", path.display()));
        return Ok(());
    }
    fs::remove_file(&path).map_err(disk::failed(disk::Step::Remove, &path)).map_err(unwritten)?;
    announce(&format!(
        "{} is removed; /etc/potoroo/engine.env and /var/lib/potoroo stay",
        path.display()
    ));
    announce("next: systemctl daemon-reload");
    Ok(())
}

fn unwritten(error: disk::Error) -> Failure {
    Failure::new(Exit::Disk, error).hint("run this as root: the service is the system's")
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    let bytes = disk::read_whole(path, FILE_BYTES_MAX).map_err(unwritten)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn is_unseen(path: &str) -> bool {
    UNSEEN.iter().any(|unseen| Path::new(path).starts_with(unseen))
}

/// The directory of this very program, if the service will see it.
fn directory(program: &Path) -> Result<String, Failure> {
    let directory = program.parent().unwrap_or(Path::new("/")).display().to_string();
    // A test's program may lie anywhere; `/` is no place for one.
    if program.file_name().is_none_or(|name| name != "potoroo-engine") || is_unseen(&directory) {
        let sentence = format!("the service would not see {}", program.display());
        return Err(Failure::new(Exit::Usage, sentence)
            .hint("copy the program to /usr/local/bin/potoroo-engine, and run it from there"));
    }
    Ok(directory)
}

/// The variables of a file of systemd's `EnvironmentFile`, as this command writes it.
fn settings_of(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), unquoted(value.trim()))).collect()
}

/// A value as systemd reads it from such a file (systemd.exec(5)).
fn unquoted(value: &str) -> String {
    if let Some(plain) = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return plain.to_owned();
    }
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}

/// The file with these settings: lines of the one before that set nothing stay on top.
fn environment_file(settings: &BTreeMap<String, String>, before: &str) -> String {
    let comments = before.lines().filter(|line| line.trim_start().starts_with(['#', ';']));
    let mut text: String = comments.map(|line| format!("{line}\n")).collect();
    if text.is_empty() {
        text.push_str("# Settings of potoroo-engine: `potoroo-engine --help` lists all of them.\n");
    }
    for (name, value) in settings {
        let value =
            value.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$").replace('`', r"\`");
        text.push_str(&format!("{name}=\"{value}\"\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_from_their_file_as_they_were() {
        let value = "a $b \"c\" \\d `e` 'f' # g";
        let settings = BTreeMap::from([("OCI_PASSWORD".to_owned(), value.to_owned())]);
        let text = environment_file(&settings, "# mine\nA=b\n");
        assert!(text.starts_with("# mine\nOCI_PASSWORD="), "{text}");
        assert_eq!(settings_of(&text), settings);
        let by_hand = settings_of("A=b c\n B='d\\'\n;C=e\nD=\n");
        let pairs: Vec<_> = by_hand.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(pairs, [("A", "b c"), ("B", "d\\"), ("D", "")]);
    }

    #[test]
    fn a_program_that_the_service_does_not_see_is_refused() {
        for hidden in ["/home/me/potoroo-engine", "/tmp/potoroo-engine", "/usr/bin/other"] {
            let failure = directory(Path::new(hidden)).unwrap_err();
            assert!(failure.report().contains("/usr/local/bin"), "{}", failure.report());
        }
        let found = directory(Path::new("/opt/potoroo/potoroo-engine")).unwrap();
        assert_eq!(found, "/opt/potoroo");
    }
}
