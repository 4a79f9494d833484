// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A server with a client: what a virtual machine does with the function, as far as tests need it.

use std::fs::File;
use std::fs::OpenOptions;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStderr;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use hwmodel_vfio_user::config;
use hwmodel_vfio_user::control;
use vfio_bindings::bindings::vfio::*;
use vfio_user::Client;
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::eventfd::EFD_NONBLOCK;

/// Where the guest's memory begins, and how much there is.
pub const RAM: u64 = 0x4000_0000;
pub const RAM_SIZE: u64 = 1 << 20;

/// The status of a server that has seen records.
pub const RECORDS: i32 = 3;

/// Waits for something that other threads do. The limit is only there to end a test that has failed.
pub fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < limit, "{what} did not happen");
        sleep(Duration::from_micros(100));
    }
}

/// A server of its own, and the socket that it waits at.
pub struct Server {
    child: Child,
    said: BufReader<ChildStderr>,
    pub socket: PathBuf,
}

impl Server {
    pub fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let socket = std::env::temp_dir().join(format!("hwmodel-{name}"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_hwmodel-vfio-user"))
            .arg(&socket)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.contains("waits for a client"), "{line}");
        Self {
            child,
            said,
            socket,
        }
    }

    /// Waits for its end. Returns its status and what it said.
    pub fn end(mut self) -> (i32, String) {
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code().unwrap(), said)
    }
}

impl Drop for Server {
    /// One that has ended already is not there to be killed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client with memory and interrupts.
pub struct Guest {
    server: Server,
    client: Client,
    pub memory: File,
    messages: Vec<EventFd>,
}

impl Guest {
    /// Everything that the device needs is off.
    pub fn off() -> Self {
        let server = Server::start();
        let mut client = Client::new(&server.socket).unwrap();
        let path = server.socket.with_extension("memory");
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        memory.set_len(RAM_SIZE).unwrap();
        client
            .dma_map(0, RAM, RAM_SIZE, memory.as_raw_fd())
            .unwrap();

        let count = client.get_irq_info(VFIO_PCI_MSIX_IRQ_INDEX).unwrap().count;
        let messages: Vec<_> = (0..count)
            .map(|_| EventFd::new(EFD_NONBLOCK).unwrap())
            .collect();
        let mut guest = Self {
            server,
            client,
            memory,
            messages,
        };
        guest.connect_messages();
        guest
    }

    /// Tells where the messages go.
    pub fn connect_messages(&mut self) {
        let fds: Vec<_> = self.messages.iter().map(AsRawFd::as_raw_fd).collect();
        let count = fds.len().try_into().unwrap();
        let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
        self.client
            .set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, flags, 0, count, &fds)
            .unwrap();
    }

    /// The GPU has power and clocks.
    pub fn on() -> Self {
        let mut guest = Self::off();
        guest.switch_on();
        guest
    }

    pub fn switch_on(&mut self) {
        self.set(control::SUPPLY_GPU, 1);
        self.set(control::DOMAINS, 1);
        for clock in 0..3 {
            self.set(control::CLOCKS + 4 * clock, 1);
        }
    }

    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    pub fn read(&mut self, bar: u32, offset: u32) -> u32 {
        let mut data = [0; 4];
        self.client
            .region_read(bar, offset.into(), &mut data)
            .unwrap();
        u32::from_le_bytes(data)
    }

    pub fn write(&mut self, bar: u32, offset: u32, value: u32) {
        self.client
            .region_write(bar, offset.into(), &value.to_le_bytes())
            .unwrap();
    }

    /// Reads a register of the GPU.
    pub fn r(&mut self, offset: u32) -> u32 {
        self.read(config::BAR_GPU, offset)
    }

    /// Writes a register of the GPU.
    pub fn w(&mut self, offset: u32, value: u32) {
        self.write(config::BAR_GPU, offset, value);
    }

    /// Writes a pair of registers of the GPU.
    pub fn w64(&mut self, offset: u32, low: u32, high: u32) {
        self.w(offset, low);
        self.w(offset + 4, high);
    }

    /// Writes a register of the block around the GPU.
    pub fn set(&mut self, offset: u32, value: u32) {
        self.write(config::BAR_CONTROL, offset, value);
    }

    /// Whether messages of a line have come since it was looked at last, and how many.
    pub fn messages(&mut self, line: usize) -> u64 {
        self.messages[line].read().unwrap_or(0)
    }

    /// Waits for a message.
    pub fn wait_for_message(&mut self, line: usize) {
        let message = &self.messages[line];
        wait("an interrupt", || message.read().is_ok());
    }

    /// Whether the command was carried out.
    pub fn command(&mut self, command: u32) -> bool {
        self.set(control::COMMAND, command);
        self.read(config::BAR_CONTROL, control::STATUS) == 0
    }

    /// What a command answers.
    pub fn ask(&mut self, command: u32) -> Vec<u8> {
        assert!(self.command(command));
        let len = self.read(config::BAR_CONTROL, control::LENGTH);
        let mut data = vec![0; usize::try_from(len).unwrap()];
        self.client
            .region_read(config::BAR_CONTROL, control::BUFFER.into(), &mut data)
            .unwrap();
        data
    }

    /// The same, as text.
    pub fn text(&mut self, command: u32) -> String {
        String::from_utf8(self.ask(command)).unwrap()
    }

    pub fn counter(&mut self, name: &str) -> u64 {
        let text = self.text(control::COUNTERS);
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(n, _)| *n == name).unwrap().1.parse().unwrap()
    }

    /// A line of misbehaviour.
    pub fn inject(&mut self, line: &str) -> bool {
        self.line(control::INJECT, line)
    }

    /// A command about a line of text.
    pub fn line(&mut self, command: u32, line: &str) -> bool {
        self.client
            .region_write(config::BAR_CONTROL, control::BUFFER.into(), line.as_bytes())
            .unwrap();
        self.set(control::LENGTH, line.len().try_into().unwrap());
        self.command(command)
    }

    /// Stores into memory.
    pub fn poke64(&self, pa: u64, value: u64) {
        self.memory
            .write_all_at(&value.to_le_bytes(), pa - RAM)
            .unwrap();
    }

    /// The client goes. Returns the server's status and what it said.
    pub fn end(self) -> (i32, String) {
        self.client.shutdown().unwrap();
        self.server.end()
    }

    /// The client goes, and there was no record.
    pub fn end_clean(self) {
        let (status, said) = self.end();
        assert_eq!(status, 0, "{said}");
    }
}
