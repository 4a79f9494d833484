// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Serves one client, and ends with it. Records go to standard error as they come, the counters
//! when the client has gone. The status is 3 if there was a record that nobody had announced.

use std::path::Path;
use std::process::ExitCode;

use hwmodel_vfio_user::device::Device;
use hwmodel_vfio_user::machine::Machine;
use vfio_user::Server;

/// The status of a run with records.
const RECORDS: u8 = 3;

fn serve(path: &Path) -> Result<u64, Box<dyn std::error::Error>> {
    let machine = Machine::new()?;
    let server = Server::new(path, true, Device::irqs(), Device::regions())?;
    let mut device = Device::new(machine.clone());
    eprintln!("hwmodel: waits for a client at {}", path.display());
    server.run(&mut device)?;

    let mut counters = String::new();
    machine.with(|state| state.chip.show_counters(&mut counters))?;
    eprint!("{counters}");
    let unexpected = machine.unexpected();
    eprintln!("hwmodel: {unexpected} records");
    Ok(unexpected)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: hwmodel-vfio-user SOCKET");
        return ExitCode::from(2);
    };
    match serve(Path::new(&path)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(RECORDS),
        Err(error) => {
            eprintln!("hwmodel: {error}");
            ExitCode::FAILURE
        }
    }
}
