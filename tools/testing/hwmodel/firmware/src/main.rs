// SPDX-License-Identifier: GPL-2.0 OR MIT

//! `mkfw`: writes test firmware images.

use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use mkfw::check::check;
use mkfw::content::image;
use mkfw::content::Layout;
use mkfw::content::Options;
use mkfw::malformed;

const USAGE: &str = "\
usage: mkfw [options] (--out FILE | --root DIR | --malformed DIR | --check FILE)...

  --out FILE         write an image
  --root DIR         write an image to DIR/arm/mali/archX.Y/mali_csffw.bin
  --malformed DIR    write a family of malformed images and DIR/manifest
  --check FILE       say what is wrong with an image

  --arch X.Y         architecture (default 10.8)
  --layout NAME      compact (default), old (as of 2025), new (as of 2026), minimal
  --interface A.B.C  interface version that the firmware reports (default 1.1.0)

Options hold for what comes after them. Each line of the manifest is: name, file, words that the
kernel log should contain, verdict (refused, boot-fails, loads), separated by tabs.
";

fn numbers<const N: usize>(text: &str) -> Option<[u32; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split('.');
    for number in &mut numbers {
        *number = parts.next()?.parse().ok().filter(|n| *n < 256)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()))
}

fn run() -> Result<(), String> {
    let mut options = Options::default();
    let mut arch = [10, 8];
    let mut done = false;
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--help" || arg == "-h" {
            print!("{USAGE}");
            return Ok(());
        }
        let value = args
            .next()
            .ok_or_else(|| format!("{arg}: argument missing\n{USAGE}"))?;
        let invalid = || format!("{arg}: invalid argument '{value}'");
        match arg.as_str() {
            "--arch" => {
                arch = numbers(&value).ok_or_else(invalid)?;
                options.arch_major = arch[0];
            }
            "--interface" => {
                let [major, minor, patch] = numbers(&value).ok_or_else(invalid)?;
                options.version = (major, minor, patch);
            }
            "--layout" => {
                options.layout = match value.as_str() {
                    "compact" => Layout::Compact,
                    "old" => Layout::Old,
                    "new" => Layout::New,
                    "minimal" => Layout::Minimal,
                    _ => return Err(invalid()),
                };
            }
            "--out" => {
                write(Path::new(&value), &image(options).build().bytes)?;
                done = true;
            }
            "--root" => {
                let [major, minor] = arch;
                let dir = format!("arm/mali/arch{major}.{minor}/mali_csffw.bin");
                let path: PathBuf = [value.as_str(), &dir].iter().collect();
                write(&path, &image(options).build().bytes)?;
                done = true;
            }
            "--malformed" => {
                let count =
                    malformed::write(Path::new(&value)).map_err(|e| format!("{value}: {e}"))?;
                println!("{count} malformed images in {value}");
                done = true;
            }
            "--check" => {
                let bytes = fs::read(&value).map_err(|e| format!("{value}: {e}"))?;
                check(&bytes).map_err(|field| format!("{value}: bad {field}"))?;
                println!("{value}: well formed");
                done = true;
            }
            _ => return Err(format!("unknown option {arg}\n{USAGE}")),
        }
    }
    if done {
        Ok(())
    } else {
        Err(USAGE.to_string())
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("mkfw: {message}");
            ExitCode::FAILURE
        }
    }
}
