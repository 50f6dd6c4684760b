//! A simulated edge: joins, reports, and sends a journal, in the protocol and the frames of real ones.

use potoroo::clock::{DeviceClock, since_boot_ms, unix_ms};
use potoroo::codec::journal::{Entry, Gathered, Origin, Stamp};
use potoroo::fleet::{
    Contact, Counters, Device, EngineFacts, Id, JOIN_PATH, JoinRequest, Joined, LOG_CONTENT_TYPE,
    LOGS_PATH, LogsAnswer, PublicKey, REPORT_PATH, Report, Signature, header,
};
use potoroo::pipeline::Record;
use potoroo::tensor::{Column, Data, NamedTensor, RowShape, Table, Tensor};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Values of one input, as the fraud model has them.
const FEATURES: usize = 29;

pub(crate) struct Edge {
    name: String,
    address: String,
    stream: Option<BufReader<TcpStream>>,
    key: Ed25519KeyPair,
    session: Option<Id>,
    serial: u64,
    instance: Id,
    boot: Id,
    journal: Id,
    origin: Arc<Origin>,
    /// Makes its values others than those of other edges.
    noise: u64,
    /// The first number that the ops center has not.
    pub(crate) next: u64,
}

/// An answer that is not the wanted one.
#[derive(Debug)]
pub(crate) struct Status(pub(crate) u16);

fn random() -> Id {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).unwrap();
    Id::of_random(bytes)
}

impl Edge {
    /// An edge that has joined and reported.
    pub(crate) fn join(address: &str, number: usize, version: &str) -> Edge {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let origin = Arc::new(Origin {
            pipeline: "fraud".to_owned(),
            version: version.to_owned(),
            digest: format!("sha256:{}", "ab".repeat(32)),
        });
        let mut edge = Edge {
            name: format!("edge-{number}"),
            address: address.to_owned(),
            stream: None,
            key: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap(),
            session: None,
            serial: 0,
            instance: random(),
            boot: random(),
            journal: random(),
            origin,
            noise: (number as u64) << 32,
            next: 1,
        };
        let device = Device { fingerprint: Some(random().to_string()), host: None };
        let word = str::to_owned;
        let engine =
            EngineFacts { version: word("0.1.0"), arch: word("aarch64"), os: word("linux") };
        let mut public = [0; 32];
        public.copy_from_slice(edge.key.public_key().as_ref());
        let request = JoinRequest {
            token: format!("token-{number}"),
            edge: edge.name.clone(),
            public_key: PublicKey(public),
            device: device.clone(),
            engine: engine.clone(),
        };
        let body = serde_json::to_vec(&request).unwrap();
        let joined: Joined = edge.ask(JOIN_PATH, "application/json", &body).unwrap();
        (edge.session, edge.serial) = (Some(joined.session), joined.facts.serial);
        let report = Report {
            device,
            engine,
            uptime_s: 1,
            running: None,
            counters: Counters::default(),
            journal: None,
            disk: None,
            memory: None,
            temperature_c: None,
            assignment: None,
            leaving: false,
        };
        let body = serde_json::to_vec(&report).unwrap();
        let _: serde_json::Value = edge.ask(REPORT_PATH, "application/json", &body).unwrap();
        edge
    }

    /// A frame of so many inferences from the next number on, of one row each.
    pub(crate) fn frame(&self, count: usize) -> Vec<u8> {
        let mut gathered: Option<Gathered> = None;
        for nth in 0..count {
            let seed = self.next + nth as u64;
            // As measurements are: 24 bits that nothing compresses.
            let bits = |at: usize| {
                let place = (seed * FEATURES as u64 + at as u64) ^ self.noise;
                place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
            };
            let values = (0..FEATURES).map(|at| bits(at) as f32 / 4_194_304.0 - 2.0);
            let column = Column {
                name: "features".into(),
                row_shape: RowShape::Told(vec![FEATURES]),
                data: Data::F32(Cow::Owned(values.collect())),
            };
            let input = Table::new(1, vec![column]).unwrap();
            let score = Data::F32(Cow::Owned(vec![(seed % 1000) as f32 / 1000.0]));
            let record = Record {
                findings: vec![],
                chosen: None,
                shadows: vec![],
                elapsed_ns: vec![20_000 + seed % 700, 90_000 + seed % 1300],
                model_name: "fraud".into(),
                model_version: "v".into(),
                model_sha: "ab".repeat(32),
                outputs: vec![NamedTensor {
                    name: "fraud_probability".into(),
                    tensor: Tensor::new(vec![1, 1], score).unwrap(),
                }],
                pipeline_name: "fraud".into(),
                pipeline_version: self.origin.version.clone(),
                time_ms: unix_ms(&DeviceClock),
            };
            let entry = Entry {
                origin: &self.origin,
                record: &record,
                input: &input,
                dropped: &[],
                mono_ms: since_boot_ms(),
            };
            match &mut gathered {
                None => gathered = Some(Gathered::new(&entry).unwrap()),
                Some(gathered) => assert!(gathered.add(&entry).unwrap()),
            }
        }
        let stamp = Stamp {
            journal: self.journal,
            first: self.next,
            boot: Some(self.boot),
            engine: "0.1.0",
        };
        gathered.unwrap().frame(stamp).unwrap()
    }

    /// Sends a frame until it is taken; how often the ops center said that it is busy.
    pub(crate) fn send(&mut self, frame: &[u8]) -> usize {
        let mut busy = 0;
        loop {
            match self.ask::<LogsAnswer>(LOGS_PATH, LOG_CONTENT_TYPE, frame) {
                Ok(answer) => {
                    assert_eq!(answer.journal, self.journal);
                    self.next = answer.next;
                    return busy;
                }
                Err(Status(429 | 503)) => {
                    busy += 1;
                    std::thread::sleep(std::time::Duration::from_secs(1));
                }
                Err(Status(status)) => panic!("{} answers {status}", self.address),
            }
        }
    }

    fn ask<T: DeserializeOwned>(
        &mut self,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<T, Status> {
        let contact = Contact {
            session: self.session,
            serial: self.serial,
            instance: self.instance,
            boot: self.boot,
            monotonic_ms: since_boot_ms(),
            time_ms: unix_ms(&DeviceClock),
        };
        let mut signature = [0; 64];
        let signed = self.key.sign(contact.message("POST", path, body).as_bytes());
        signature.copy_from_slice(signed.as_ref());
        let mut head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in contact.headers() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("{}: {}\r\n", header::SIGNATURE, Signature(signature)));
        head.push_str(&format!("Content-Type: {content_type}\r\n"));
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let stream = self.stream.get_or_insert_with(|| {
            let stream = TcpStream::connect(&self.address).unwrap();
            stream.set_nodelay(true).unwrap();
            BufReader::new(stream)
        });
        stream.get_mut().write_all(&[head.as_bytes(), body].concat()).unwrap();
        let (mut status, mut length, mut closes) = (0, 0, false);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if line == "connection: close" {
                closes = true;
            } else if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).unwrap();
        if closes {
            self.stream = None;
        }
        match status {
            200 => Ok(serde_json::from_slice(&answer).unwrap()),
            status => Err(Status(status)),
        }
    }
}
