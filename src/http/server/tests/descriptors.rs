//! A process without descriptors left, played in a child process of its own with a low limit.

use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;

/// Tells the test below that it is the child.
const ROLE: &str = "POTOROO_TEST_SERVES_WITH_FEW_DESCRIPTORS";

/// Descriptors of the child: fewer than the connections that the test opens to it.
const DESCRIPTORS: usize = 40;

/// In the child: serves until its standard input ends. Elsewhere there is nothing to do.
#[test]
fn the_child_serves_until_its_input_ends() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let server = serve(Limits { head_protected: Duration::ZERO, ..limits() });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "\nserving at {}", server.address).unwrap();
    stdout.flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    assert!(!server.thread.as_ref().unwrap().is_finished(), "the accepting thread has ended");
}

/// The child, its address, and its output, which it must be able to write to its end.
fn start_child() -> (Child, SocketAddr, BufReader<ChildStdout>) {
    let script = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"");
    let name = "http::server::tests::descriptors::the_child_serves_until_its_input_ends";
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ROLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let lines = output.by_ref().lines().map_while(Result::ok);
    let address = lines
        .filter_map(|line| line.strip_prefix("serving at ")?.parse().ok())
        .next()
        .expect("the child did not start");
    (child, address, output)
}

#[test]
fn a_process_without_descriptors_left_goes_on_serving() {
    let (mut child, address, mut output) = start_child();
    // The kernel completes these without the server, which can accept only some of them.
    let mut idle: Vec<_> = (0..2 * DESCRIPTORS).map(|_| Client::connect(address)).collect();
    assert_eq!(Client::connect(address).get("/").status, 200, "idle ones gave way");
    let ended = idle.iter_mut().filter_map(|client| {
        client.socket().set_nonblocking(true).unwrap();
        client.has_ended().then_some(())
    });
    assert!(ended.count() > DESCRIPTORS, "they were told to end");
    drop(idle);
    assert_eq!(Client::connect(address).get("/").status, 200, "and afterwards all is well");
    drop(child.stdin.take());
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
}
