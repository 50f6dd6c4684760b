//! The units of systemd: the files of `deploy/systemd`, with what differs from device to device put in.

/// One of the two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `potoroo-engine`
    Engine,
    /// `potoroo-ops`
    Ops,
}

impl Program {
    const fn text(self) -> &'static str {
        match self {
            Program::Engine => include_str!("../../deploy/systemd/potoroo-engine.service"),
            Program::Ops => include_str!("../../deploy/systemd/potoroo-ops.service"),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Program::Engine => "potoroo-engine",
            Program::Ops => "potoroo-ops",
        }
    }
}

/// What differs from device to device.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnitSettings<'a> {
    /// The directory of the program; `/usr/bin` where it is empty.
    pub directory: &'a str,
    /// Variables that are no secrets; everyone may read a unit.
    pub variables: &'a [(&'a str, &'a str)],
    /// Whether the program has to read something in somebody's home.
    pub reads_homes: bool,
}

/// The unit of a program.
#[must_use]
pub fn unit(program: Program, settings: UnitSettings<'_>) -> String {
    let mut text = program.text().to_owned();
    if !settings.directory.is_empty() {
        let command = |directory: &str| format!("\nExecStart={directory}/{}", program.name());
        text = text.replace(&command("/usr/bin"), &command(settings.directory));
    }
    if settings.reads_homes {
        text = text.replace("\nProtectHome=yes\n", "\nProtectHome=read-only\n");
    }
    let set: String = settings.variables.iter().map(|(name, value)| set(name, value)).collect();
    text.replace("\nType=notify\n", &format!("\nType=notify\n{set}"))
}

/// One line of a unit; `%`, quotes and backslashes would mean something else in it.
fn set(name: &str, value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@+=,".contains(&byte);
    if !value.is_empty() && value.bytes().all(plain) {
        return format!("Environment={name}={value}\n");
    }
    let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%");
    format!("Environment=\"{name}={value}\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_without_settings_is_the_file() {
        for program in [Program::Engine, Program::Ops] {
            assert_eq!(unit(program, UnitSettings::default()), program.text());
        }
    }

    #[test]
    fn what_differs_has_its_place() {
        let settings = UnitSettings {
            directory: "/usr/local/bin",
            variables: &[("A", "b:c"), ("D", "100% \"e\" \\")],
            reads_homes: true,
        };
        let text = unit(Program::Engine, settings);
        for line in [
            "Environment=A=b:c",
            r#"Environment="D=100%% \"e\" \\""#,
            "ExecStart=/usr/local/bin/potoroo-engine",
            "ProtectHome=read-only",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
    }
}
