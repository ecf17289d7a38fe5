//! Takes the built page from `web/dist` of the workspace into the crate, each file plain and compressed.
//!
//! The folder is made if it is not there: cargo looks again at what it was told to watch, and a path that does not
//! exist would count as changed at every build.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a build script writes what cargo keeps, and talks to it"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    let dist = manifest.join("../../web/dist");
    println!("cargo::rerun-if-changed=build.rs");
    if fs::create_dir_all(&dist).is_ok() {
        println!("cargo::rerun-if-changed={}", dist.display());
    }
    let mut files = Vec::new();
    if let Some(index) = dist.join("index.html").canonicalize().ok().filter(|path| path.is_file()) {
        files.push(index);
        files.extend(assets(&dist.join("assets"))?);
    }
    let mut code = String::from("static FILES: &[File] = &[\n");
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let zipped = out.join(format!("{name}.gz"));
        let gzip = if is_text(path) {
            compress(path, &zipped)?;
            format!("include_bytes!({zipped:?})")
        } else {
            "&[]".to_owned()
        };
        let kind = kind(path);
        // Writing to a String cannot fail.
        let _ = writeln!(
            code,
            "    File {{ name: {name:?}, kind: {kind:?}, plain: include_bytes!({path:?}), gzip: {gzip} }},"
        );
    }
    code.push_str("];\n");
    fs::write(out.join("page.rs"), code)
}

/// The files of the folder, by name; source maps stay outside.
fn assets(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path().canonicalize()?;
        if path.is_file() && extension(&path) != "map" {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn compress(from: &Path, to: &Path) -> io::Result<()> {
    let mut encoder = GzEncoder::new(fs::File::create(to)?, Compression::best());
    encoder.write_all(&fs::read(from)?)?;
    encoder.finish()?.sync_all()
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// Text becomes much smaller; pictures and fonts are compressed already.
fn is_text(path: &Path) -> bool {
    matches!(extension(path), "html" | "js" | "css" | "svg" | "json" | "txt" | "webmanifest")
}

fn kind(path: &Path) -> &'static str {
    match extension(path) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
