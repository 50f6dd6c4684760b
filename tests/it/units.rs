//! The units of systemd, as systemd's own tools read them, and the engine as a unit runs it.

use crate::support::engine::{self, Engine, command, curl};
use crate::support::fixture;
use crate::support::ops::publish_layout;
use crate::support::process::{PATIENCE, Running, run};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What `systemd-analyze security` may say at most, of ten.
const EXPOSURE_MAX: f64 = 2.0;

#[expect(clippy::print_stdout, reason = "a test that is not run, and a figure, is to be read")]
fn has_systemd() -> bool {
    let found = run(Command::new("sh").args(["-c", "command -v systemd-analyze"])).status.success();
    if !found {
        println!("not run: there is no systemd-analyze");
    }
    found
}

/// A copy of a unit whose program is there, as on a device.
fn unit(directory: &Path, program: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = format!("{program}.service");
    let text = std::fs::read_to_string(project.join("deploy/systemd").join(&file)).unwrap();
    let stand_in = text.replace(&format!("/usr/bin/{program}"), "/bin/true");
    let path = directory.join(file);
    std::fs::write(&path, stand_in).unwrap();
    path
}

#[expect(clippy::print_stdout, reason = "a test that is not run, and a figure, is to be read")]
#[test]
fn systemd_finds_nothing_wrong_with_the_units_and_little_exposed() {
    if !has_systemd() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for program in ["potoroo-engine", "potoroo-ops"] {
        let path = unit(directory.path(), program);
        let verified = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path));
        let about_ours: Vec<&str> =
            verified.stderr.lines().filter(|line| line.contains("potoroo")).collect();
        assert!(about_ours.is_empty(), "{}", verified.stderr);
        let mut security = Command::new("systemd-analyze");
        security.args(["security", "--offline=true", "--no-pager"]).arg(&path);
        let told = run(&mut security).stdout;
        let last = told.lines().rfind(|line| line.contains("Overall exposure")).unwrap();
        let number = last.split_whitespace().find_map(|word| word.parse::<f64>().ok());
        println!("{program}: {last}");
        assert!(number.unwrap() < EXPOSURE_MAX, "{last}");
    }
}

#[test]
fn a_supervisor_hears_when_the_engine_serves_lives_and_stops() {
    let home = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("models/fraud.onnx"), &home.path().join("layout"));
    let path = home.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let heard = || {
        let mut text = [0; 64];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let mut engine = command(&home.path().join("persist"));
    engine.env("PIPELINE_URL", &published.pipeline_url);
    engine.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let mut engine = Running::start(&mut engine);
    assert_eq!(heard(), "READY=1");
    assert!(engine.line_with("msg=ready").contains("listen="));
    assert_eq!([heard(), heard()], ["WATCHDOG=1", "WATCHDOG=1"]);
    engine.send("TERM");
    while heard() != "STOPPING=1" {}
    assert_eq!(engine.wait().code(), Some(0));
}

#[test]
fn a_journal_gets_levels_and_no_times() {
    let home = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("models/fraud.onnx"), &home.path().join("layout"));
    // A file stands for the stream: what counts is that standard error is what the variable names.
    let log = home.path().join("log");
    let words = format!(
        "exec 2>{} && export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)",
        log.display()
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{words} && exec \"$0\"")]).arg(engine::path()).env_clear();
    shell.env("PATH", "/usr/bin:/bin").env("POTOROO_LISTEN", "127.0.0.1:0");
    shell.env("POTOROO_PERSIST", home.path().join("persist"));
    shell
        .env("PIPELINE_URL", &published.pipeline_url)
        .env("NOTIFY_SOCKET", home.path().join("ready"));
    let ready = UnixDatagram::bind(home.path().join("ready")).unwrap();
    ready.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut engine = Running::start(&mut shell);
    ready.recv(&mut [0; 64]).unwrap();
    engine.signal("TERM");
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(told.lines().any(|it| it.starts_with("<6>at=serve listen=")), "{told}");
    assert!(told.lines().all(|line| line.starts_with('<')), "{told}");
    assert!(!told.contains(" t=20") && !told.contains("level="), "{told}");
}

/// The engine in a place that a service sees.
#[expect(clippy::print_stdout, reason = "a test that is not run, and a figure, is to be read")]
fn installed(root: &Path) -> Option<PathBuf> {
    let place =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bin-{}", std::process::id()));
    let program = place.join("potoroo-engine");
    let hidden = ["/tmp", "/home", "/root", "/var/tmp"];
    if hidden.iter().any(|hidden| place.starts_with(hidden)) {
        println!("not run: {} is hidden from services", place.display());
        return None;
    }
    std::fs::create_dir_all(&place).unwrap();
    std::fs::create_dir_all(root).unwrap();
    std::fs::copy(engine::path(), &program).unwrap();
    Some(program)
}

#[test]
fn a_service_is_installed_once_keeps_secrets_to_itself_and_breaks_nothing() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("system");
    let Some(program) = installed(&root) else { return };
    let said = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new(&program);
        command.env_clear().args(words).args(["--root", root.to_str().unwrap()]);
        run(command.envs(variables.iter().copied()))
    };
    let login = [
        ("PIPELINE_URL", "r.example.com/pipelines/fraud:v1"),
        ("OCI_USERNAME", "me"),
        ("OCI_PASSWORD", "a $ecret \"word\""),
    ];
    let unit = root.join("etc/systemd/system/potoroo-engine.service");
    let settings = root.join("etc/potoroo/engine.env");

    let dry = said(&["install-service", "--dry-run"], &login).success();
    assert!(dry.stdout.contains("would be written"), "{}", dry.stdout);
    assert!(!unit.exists() && !settings.exists());
    assert_eq!(said(&["install-service"], &[("CONFIG_CPUS", "x")]).code(), 2);
    assert!(!unit.exists());

    said(&["install-service"], &login).success();
    let text = std::fs::read_to_string(&unit).unwrap();
    assert!(text.contains(&format!("\nExecStart={}\n", program.display())), "{text}");
    assert!(!text.contains("ecret"), "{text}");
    let mode = std::fs::metadata(&settings).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = said(&["install-service"], &[]).success();
    assert_eq!(again.stdout.matches("as it should be").count(), 2, "{}", again.stdout);
    // A shell reads the file as systemd does, quotes and all.
    let script = format!(". {}; printf %s \"$OCI_PASSWORD\"", settings.display());
    assert_eq!(run(Command::new("sh").args(["-c", &script])).stdout, login[2].1);

    let wants = root.join("etc/systemd/system/multi-user.target.wants");
    std::fs::create_dir_all(&wants).unwrap();
    std::os::unix::fs::symlink(&unit, wants.join("potoroo-engine.service")).unwrap();
    assert_eq!(said(&["uninstall-service"], &[]).code(), 2, "it is enabled");
    std::fs::remove_dir_all(&wants).unwrap();
    said(&["uninstall-service"], &[]).success();
    assert!(!unit.exists() && settings.exists());

    std::fs::write(&unit, "[Unit]\nDescription=mine\n").unwrap();
    for word in ["install-service", "uninstall-service"] {
        let refused = said(&[word], &login);
        assert_eq!(refused.code(), 2, "{}", refused.stderr);
        assert!(refused.stderr.contains("was not written by this command"), "{}", refused.stderr);
    }
    std::fs::remove_dir_all(program.parent().unwrap()).unwrap();
}

/// A control group of our own with a limit, gone with the value; none where we may make none.
struct Group(PathBuf);

impl Group {
    /// Of both hierarchies: where the group is made, the file, and what is written into it.
    #[expect(clippy::print_stdout, reason = "a test that is not run, and a figure, is to be read")]
    fn of(name: &str, limits: [(&str, &str, &str); 2]) -> Option<Group> {
        for (top, limit, value) in limits {
            let group = Path::new(top).join(format!("potoroo-{name}-{}", std::process::id()));
            if std::fs::create_dir(&group).is_err() {
                continue;
            }
            let group = Group(group);
            if std::fs::write(group.0.join(limit), value).is_ok() {
                return Some(group);
            }
        }
        println!("not run: no control group with such a limit can be made here");
        None
    }

    /// Words of a shell that join it.
    fn join(&self) -> String {
        format!("echo $$ >{}", self.0.join("cgroup.procs").display())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_request_that_the_group_has_no_memory_for_is_refused_and_the_engine_lives() {
    let bytes = (96 << 20).to_string();
    let limits = [
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", bytes.as_str()),
        ("/sys/fs/cgroup", "memory.max", bytes.as_str()),
    ];
    let Some(group) = Group::of("memory", limits) else { return };
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("models/fraud.onnx"), layout.path());
    let engine = Engine::start_after(&group.join(), &[("PIPELINE_URL", &published.pipeline_url)]);
    let body = layout.path().join("large.json");
    std::fs::write(&body, vec![b' '; 40 << 20]).unwrap();
    let answer = engine.infer("fraud", "application/json", &body);
    assert_eq!(
        (answer.status, answer.json()["kind"].as_str().unwrap()),
        (503, "memory"),
        "{}",
        answer.body
    );
    assert!(answer.body.contains("160 MiB"), "{}", answer.body);
    let small = engine.infer_file("fraud", &crate::support::python::request("fraud_1.json"));
    assert_eq!(small.status, 200, "{}", small.body);
    let metrics = engine.curl("/metrics", &[]).body;
    assert!(metrics.contains("potoroo_refused_total{kind=\"memory\"} 1"), "{metrics}");
    drop(engine);
}

/// The threads of a process by their names, without the numbers at the end: how many of each.
fn threads(process: u32) -> BTreeMap<String, usize> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut counted = BTreeMap::new();
    // A thread may end between the two.
    for name in
        tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
    {
        let kind = name.trim().trim_end_matches(|it: char| it.is_ascii_digit());
        *counted.entry(kind.to_owned()).or_default() += 1;
    }
    counted
}

/// How many threads of an engine compute.
fn computing(engine: &Engine) -> usize {
    threads(engine.process.id()).get("compute-").copied().unwrap_or_default()
}

/// User and system time of a process.
fn cpu_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    // `USER_HZ` is 100 on every Linux that Rust runs on.
    Duration::from_millis(ticks * 10)
}

#[test]
fn as_many_threads_compute_as_are_set_or_as_the_group_has_cpus_for() {
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("models/fraud.onnx"), layout.path());
    let url = ("PIPELINE_URL", published.pipeline_url.as_str());
    for cpus in ["1", "3"] {
        let engine = Engine::start(&[url, ("CONFIG_CPUS", cpus)]);
        assert_eq!(computing(&engine).to_string(), cpus);
    }
    let limits = [
        ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "100000"),
        ("/sys/fs/cgroup", "cpu.max", "100000 100000"),
    ];
    let Some(group) = Group::of("cpu", limits) else { return };
    // Set to nothing is not set: then the quota counts.
    let engine = Engine::start_after(&group.join(), &[url, ("CONFIG_CPUS", "")]);
    assert_eq!(computing(&engine), 1);
    drop(engine);
}

/// Half a processor, many clients, the journal on: one thread computes, no room has a pool of its own, and
/// the time that all of them take is the group's.
#[test]
fn under_load_no_pool_is_larger_than_the_quota_and_its_time_is_kept() {
    const CLIENTS: usize = 6;
    let limits = [
        ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "50000"),
        ("/sys/fs/cgroup", "cpu.max", "50000 100000"),
    ];
    let Some(group) = Group::of("half", limits) else { return };
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("models/vision.onnx"), layout.path());
    let set = [
        ("PIPELINE_URL", published.pipeline_url.as_str()),
        ("CONFIG_CPUS", ""),
        ("LOCAL_INFERENCE_STORAGE", "64Mi"),
    ];
    let engine = Engine::start_after(&group.join(), &set);
    let body = format!("@{}", crate::support::python::request("images_3.arrow").display());
    let (url, process) = (engine.url("/infer"), engine.process.id());
    let words = ["-H", "Content-Type: application/vnd.apache.arrow.file", "--data-binary", &body];
    let (began, before) = (Instant::now(), cpu_time(process));
    let (over, seen) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    let answer = curl(&url, &words);
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    seen.lock().unwrap().push(threads(process));
                    let enough = Duration::from_secs(1);
                    if cpu_time(process) - before >= enough || began.elapsed() > PATIENCE {
                        over.store(true, Relaxed);
                    }
                }
            });
        }
    });
    let (took, used) = (began.elapsed(), cpu_time(process) - before);
    // The kernel counts in periods of 100 ms, and one of them may have begun before.
    let allowed = took / 2 + Duration::from_millis(100);
    assert!(used <= allowed, "{used:?} in {took:?}, of which half is the group's");
    // A pool is there all the time; a thread that has just begun has still the name of who began it.
    for (kind, _) in threads(process) {
        let counts: Vec<usize> = seen
            .lock()
            .unwrap()
            .iter()
            .map(|threads| threads.get(&kind).copied().unwrap_or_default())
            .collect();
        let (least, most) = (*counts.iter().min().unwrap(), *counts.iter().max().unwrap());
        match kind.as_str() {
            "compute-" => assert_eq!((least, most), (1, 1)),
            // A connection has a thread, and waits; one that has just closed may be counted once more.
            "http-" => assert!(most <= 2 * CLIENTS, "{most} threads of connections"),
            _ => assert!(least <= 1, "{least} threads {kind}"),
        }
    }
    drop(engine);
}

/// A board, as its kernel tells of it: bound over this machine's own in a namespace.
#[test]
#[expect(clippy::print_stdout, reason = "a test that is not run says so")]
fn metrics_tell_how_hot_a_board_is_and_that_it_is_held_back() {
    let board = tempfile::tempdir().unwrap();
    let told = [
        ("thermal/thermal_zone0/temp", "82313\n"),
        ("thermal/thermal_zone0/type", "cpu-thermal\n"),
        ("platform/soc/soc:firmware/get_throttled", "50005\n"),
    ];
    for (name, text) in told {
        let path = board.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let bound =
        |from: &str, to: &str| format!("mount --bind {} {to}", board.path().join(from).display());
    let script = format!(
        "{} && {}",
        bound("thermal", "/sys/class/thermal"),
        bound("platform", "/sys/devices/platform")
    );
    let mounts = run(Command::new("unshare").args(["-rm", "sh", "-c", &script]));
    if !mounts.status.success() {
        println!("not run: no board can be feigned here: {}", mounts.stderr.trim());
        return;
    }
    let words = format!("exec unshare -rm sh -c '{script} && exec {}' #", engine::path().display());
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("models/fraud.onnx"), layout.path());
    let engine = Engine::start_after(&words, &[("PIPELINE_URL", &published.pipeline_url)]);
    let metrics = engine.curl("/metrics", &[]).body;
    for line in [
        "potoroo_board_temperature_celsius{zone=\"thermal_zone0\",type=\"cpu-thermal\"} 82.313",
        "potoroo_board_throttled{reason=\"throttled\"} 1",
        "potoroo_board_throttled_ever{reason=\"frequency_capped\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in\n{metrics}");
    }
}
