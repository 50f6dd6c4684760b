//! Podman in a network of its own: images are built and run as people do, and no port of the machine is taken.

use super::certificates::{Authority, GOOD, KEY};
use super::engine;
use super::process::{Ended, PATIENCE, run};
use super::registry::{Auth, Registry};
use std::fs::{File, metadata, read_to_string};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const ENGINE: &str = "localhost/potoroo-engine:test";
pub const OPS: &str = "localhost/potoroo-ops:test";

/// The contract's registry, and an ops center: this machine, by names that the network here has.
pub const REGISTRY: &str = "sample-registry.com";
pub const CENTER: &str = "ops.example.com";

/// The machine's address in the yard: it is on its loopback, and the way out of each network of podman's
/// leads past it.
const MACHINE: &str = "10.213.0.1";

/// What the images are made from: programs, and files of the network here.
struct Kit {
    /// The same for each process, since the images know it.
    authority: Authority,
    /// With images and containers; it stays, so that the next run has its images.
    storage: PathBuf,
}

/// A network namespace with a registry in it, and podman's containers.
pub struct Yard {
    network: String,
    home: TempDir,
    kit: &'static Kit,
    _registry: Registry,
    // Last: the next yard begins when all else is gone.
    _alone: File,
}

/// A yard, unless podman cannot run here; that is printed.
#[expect(clippy::print_stdout, reason = "a test that is not run, and a figure, is to be read")]
pub fn yard() -> Option<Yard> {
    static KIT: OnceLock<Result<Kit, String>> = OnceLock::new();
    let kit = match KIT.get_or_init(Kit::make) {
        Ok(kit) => kit,
        Err(why) => {
            println!("not run: {why}");
            return None;
        }
    };
    // Commands of the contract give containers no name, so all that there are belong to one yard: of this
    // process, and of those that other runners start for each test.
    let alone = File::create(kit.storage.join("alone")).unwrap();
    alone.lock().unwrap();
    let network = format!("potoroo-{}", std::process::id());
    let home = tempfile::tempdir().unwrap();
    kit.configure(home.path());
    kit.clear(home.path());
    kit.build(home.path());
    run(Command::new("ip").args(["netns", "add", &network])).success();
    let ip = |words: &[&str]| run(Command::new("ip").args(["-n", &network]).args(words)).success();
    ip(&["link", "set", "lo", "up"]);
    ip(&["address", "add", MACHINE, "dev", "lo"]);
    let shown = kit.authority.shown(&[REGISTRY], GOOD);
    let user = Auth::Htpasswd("_json_key_base64");
    let registry = Registry::start_in(
        &["nsenter", &format!("--net=/run/netns/{network}")],
        "0.0.0.0:443",
        &user,
        Some(&shown),
    );
    Some(Yard { network, home, kit, _registry: registry, _alone: alone })
}

impl Kit {
    fn make() -> Result<Kit, String> {
        for program in ["podman", "runc", "ip", "nsenter", "strip"] {
            let found = run(Command::new("sh").args(["-c", &format!("command -v {program}")]));
            if !found.status.success() {
                return Err(format!("there is no {program}: tests/setup.sh brings it"));
            }
        }
        if run(Command::new("id").arg("-u")).stdout.trim() != "0" {
            return Err("network namespaces and podman's storage want root".to_owned());
        }
        let storage = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../podman");
        std::fs::create_dir_all(&storage).unwrap();
        let storage = storage.canonicalize().unwrap();
        let alone = File::create(storage.join("alone")).unwrap();
        alone.lock().unwrap();
        let kit = Kit { authority: Authority::kept(&storage), storage };
        let home = tempfile::tempdir().unwrap();
        kit.configure(home.path());
        let can = run(kit.podman(home.path()).arg("info"));
        if !can.status.success() {
            return Err(format!("podman cannot run here: {}", can.stderr));
        }
        Ok(kit)
    }

    /// What a run that was ended has left.
    fn clear(&self, home: &Path) {
        for words in [
            &["rm", "--force", "--all", "--time", "0", "--volumes"][..],
            &["volume", "prune", "--force"],
        ] {
            run(self.podman(home).args(words));
        }
    }

    /// What images are made from, as far as it changes between two runs.
    fn state(&self) -> String {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut state = read_to_string(self.storage.join(KEY)).unwrap();
        for file in ["Dockerfile.alpine", "Dockerfile.arm64"] {
            state += &read_to_string(project.join(file)).unwrap();
        }
        for program in programs() {
            let about = metadata(&program).unwrap();
            state += &format!("{} {} {:?}\n", program.display(), about.len(), about.modified());
        }
        state
    }

    /// The settings of podman that a person's machine has in /etc; limits as CI's sandbox can give.
    fn configure(&self, home: &Path) {
        let hosts = format!("127.0.0.1 localhost\n{MACHINE} {REGISTRY}\n{MACHINE} {CENTER}\n");
        std::fs::write(home.join("hosts"), hosts).unwrap();
        let settings = format!(
            "[containers]\nbase_hosts_file = {:?}\ndefault_ulimits = [\"nofile=1024:1024\", \
             \"nproc=1024:1024\"]\nlog_driver = \"k8s-file\"\n[engine]\nruntime = \"runc\"\n\
             cgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n[network]\n\
             network_config_dir = {:?}\n",
            home.join("hosts"),
            home.join("networks")
        );
        std::fs::write(home.join("containers.conf"), settings).unwrap();
        // `podman` and `docker` as a person's shell finds them.
        let podman = self.podman(home);
        let words: Vec<_> = podman.get_args().map(|word| word.to_string_lossy()).collect();
        let settings = home.join("containers.conf");
        let script = format!(
            "#!/bin/sh\nCONTAINERS_CONF={} exec /usr/bin/podman {} \"$@\"\n",
            settings.display(),
            words.join(" ")
        );
        std::fs::create_dir_all(home.join("bin")).unwrap();
        for name in ["podman", "docker"] {
            let file = home.join("bin").join(name);
            std::fs::write(&file, &script).unwrap();
            run(Command::new("chmod").arg("0755").arg(file)).success();
        }
    }

    fn podman(&self, home: &Path) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", home.join("containers.conf"));
        command.arg("--root").arg(self.storage.join("images"));
        command.arg("--runroot").arg(self.storage.join("run"));
        command
    }

    /// Both images by the project's own files, from the programs under test, unless that is done. A program
    /// that is not static gets a base with the libraries that it names.
    fn build(&self, home: &Path) {
        let (built, state) = (self.storage.join("built"), self.state());
        let is_there =
            |image| run(self.podman(home).args(["image", "exists", image])).status.success();
        if read_to_string(&built).is_ok_and(|it| it == state) && is_there(ENGINE) && is_there(OPS) {
            return;
        }
        let programs = programs();
        let base = home.join("base");
        std::fs::create_dir_all(base.join("root/etc/ssl")).unwrap();
        std::fs::copy(self.authority.file(), base.join("root/etc/ssl/ca.pem")).unwrap();
        let registry = PathBuf::from("/usr/bin/docker-registry");
        for program in programs.iter().chain([&registry]) {
            for library in libraries(program) {
                let to = base.join("root").join(library.strip_prefix("/").unwrap());
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(&library, to).unwrap();
            }
        }
        let file = "FROM scratch\nCOPY root/ /\nENV SSL_CERT_FILE=/etc/ssl/ca.pem\n";
        std::fs::write(base.join("Dockerfile"), file).unwrap();
        let base_image = "localhost/potoroo-base:test";
        let build = |home: &Path| {
            let mut command = self.podman(home);
            command.args(["build", "--quiet", "--format", "docker"]);
            command
        };
        run(build(home).args(["--tag", base_image]).arg(&base)).success();

        // What the compose file of the ops center calls `registry:2`: Debian's, with the same settings.
        let place = home.join("registry");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::copy(&registry, place.join("registry")).unwrap();
        let settings = "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/registry\nhttp:\n  addr: :5000\n";
        std::fs::write(place.join("config.yml"), settings).unwrap();
        let file = format!(
            "FROM {base_image}\nCOPY registry /bin/registry\nCOPY config.yml /etc/registry.yml\n\
             VOLUME /var/lib/registry\nENTRYPOINT [\"/bin/registry\", \"serve\", \"/etc/registry.yml\"]\n"
        );
        std::fs::write(place.join("Dockerfile"), file).unwrap();
        run(build(home).args(["--tag", "docker.io/library/registry:2"]).arg(&place)).success();

        let context = home.join("context");
        let cross = std::env::consts::ARCH;
        let place = context.join("target/cross").join(cross);
        std::fs::create_dir_all(&place).unwrap();
        for (program, name) in programs.iter().zip(["potoroo-engine", "potoroo-ops"]) {
            run(Command::new("strip").arg("-o").arg(place.join(name)).arg(program)).success();
        }
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::create_dir_all(context.join("deploy/volume")).unwrap();
        for name in ["LICENSE-APACHE", "LICENSE-MIT", "deploy/volume/.keep"] {
            std::fs::copy(project.join(name), context.join(name)).unwrap();
        }
        // Each file is built once: that of the ARM boards for this processor, with its own base.
        let crossing = format!("CROSS={cross}");
        for (file, target, tag) in
            [("Dockerfile.arm64", "engine", ENGINE), ("Dockerfile.alpine", "ops", OPS)]
        {
            let mut command = build(home);
            command.arg("--file").arg(project.join(file)).args(["--target", target, "--tag", tag]);
            for set in [
                "BINARIES=prebuilt",
                &crossing,
                &format!("BASE={base_image}"),
                "VERSION=0.0.0-test",
            ] {
                command.args(["--build-arg", set]);
            }
            run(command.arg(&context)).success();
        }
        // Last, so that what was interrupted is done again.
        std::fs::write(built, state).unwrap();
    }
}

/// The programs under test.
fn programs() -> [PathBuf; 2] {
    [engine::path(), env!("CARGO_BIN_EXE_potoroo-ops").into()]
}

/// The shared libraries that a program names, with what loads them; none of a static one.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let told = run(Command::new("ldd").arg(program)).stdout;
    let paths = told.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(PathBuf::from).filter(|path| path.is_file()).collect()
}

impl Yard {
    /// A command in the network of the yard.
    fn within(&self, command: Command) -> Command {
        let mut within = Command::new("nsenter");
        within.arg(format!("--net=/run/netns/{}", self.network));
        within.arg(command.get_program()).args(command.get_args());
        within.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        within.current_dir(self.home.path());
        within
    }

    /// `podman` with these words.
    pub fn podman(&self, words: &[&str]) -> Ended {
        let mut podman = self.kit.podman(self.home.path());
        podman.args(words);
        run(&mut self.within(podman))
    }

    /// A script of a shell whose `docker` is podman, in the directory of the yard.
    pub fn shell(&self, script: &str, variables: &[(&str, &str)]) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).envs(variables.iter().copied());
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", self.home.path().join("bin").display()));
        self.within(shell)
    }

    /// A program of ours beside the containers, that knows their names and their authority.
    pub fn beside(&self, program: &str, words: &[&str], variables: &[(&str, &str)]) -> Ended {
        let hosts = self.home.path().join("hosts-beside");
        std::fs::write(&hosts, format!("127.0.0.1 localhost {REGISTRY} {CENTER}\n")).unwrap();
        let script = format!("mount --bind {} /etc/hosts && exec \"$0\" \"$@\"", hosts.display());
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script, program]).args(words);
        command.env("SSL_CERT_FILE", self.kit.authority.file());
        command.env("HOME", self.home.path()).envs(variables.iter().copied());
        run(&mut self.within(command))
    }

    /// The directory in which commands run.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A certificate for a name, in two files of a directory that anyone may read.
    pub fn certificate(&self, name: &str, directory: &Path) {
        std::fs::create_dir_all(directory).unwrap();
        let files = self.kit.authority.shown(&[name], GOOD).write(directory);
        for file in files {
            run(Command::new("chmod").args(["0644"]).arg(file)).success();
        }
    }

    /// Polls until it is so.
    pub fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !so() {
            assert!(Instant::now() < end, "in {} s there was no {what}", PATIENCE.as_secs());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// `curl` in the yard, as a sensor beside the engine: body and status.
    pub fn curl(&self, words: &[&str]) -> (String, String) {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "-w", "\n%{http_code}"]).args(words);
        let ended = run(&mut self.within(curl));
        let (body, status) = ended.stdout.rsplit_once('\n').unwrap_or(("", &ended.stderr));
        (body.to_owned(), status.to_owned())
    }

    /// The container that was started last.
    pub fn latest(&self) -> String {
        self.podman(&["ps", "--all", "--quiet", "--latest"]).success().stdout.trim().to_owned()
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        // All of them: there is one yard at a time.
        self.podman(&["rm", "--force", "--all", "--time", "0", "--volumes"]);
        self.podman(&["volume", "prune", "--force"]);
        run(Command::new("ip").args(["netns", "delete", &self.network]));
    }
}
