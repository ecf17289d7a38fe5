//! `spark-submit`: where it is, and what it is given. What must stay true: a job that was not written is not run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use forebay_core::error::codes;
use forebay_core::{Error, Result};

/// Where `spark-submit` was looked for, and what was found.
pub struct Places {
    /// `SPARK_HOME`.
    pub home: Option<PathBuf>,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// The folder of the Python package `pyspark`.
    pub pyspark: fn() -> Option<PathBuf>,
}

impl Places {
    /// Those of this process.
    pub fn of_environment() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self {
            home: std::env::var_os("SPARK_HOME").filter(|home| !home.is_empty()).map(PathBuf::from),
            path: std::env::split_paths(&path).collect(),
            pyspark,
        }
    }

    /// The program: `SPARK_HOME` first, as Spark's own scripts have it.
    ///
    /// # Errors
    /// `WRONG_USE` if it is nowhere.
    pub fn find(&self) -> Result<PathBuf> {
        if let Some(home) = &self.home {
            let program = home.join("bin/spark-submit");
            return program.is_file().then_some(program).ok_or_else(|| {
                Error::new(&codes::WRONG_USE, "there is no bin/spark-submit in SPARK_HOME")
                    .at(home.display())
                    .with_hint("Let SPARK_HOME name the folder of a Spark 4.0, or unset it.")
            });
        }
        let on_path =
            self.path.iter().map(|folder| folder.join("spark-submit")).find(|program| program.is_file());
        let installed = || (self.pyspark)().map(|folder| folder.join("bin/spark-submit"));
        on_path.or_else(|| installed().filter(|program| program.is_file())).ok_or_else(|| {
            Error::new(&codes::WRONG_USE, "spark-submit was not found").with_hint(
                "Install Spark 4.0 (`pip install pyspark==4.0.0`, Java 17) or let SPARK_HOME name it; or write the job with \
                 --out FILE and run it where Spark is.",
            )
        })
    }
}

fn pyspark() -> Option<PathBuf> {
    let mut python = Command::new("python3");
    python
        .args(["-c", "import pyspark; print(pyspark.__path__[0])"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let said = python.output().ok()?;
    let folder = String::from_utf8(said.stdout).ok()?;
    said.status.success().then(|| PathBuf::from(folder.trim_end()))
}

/// The arguments of `spark-submit`: `more` are the user's own, behind `--`. Packages are left to the user where they name
/// some.
pub fn arguments(job: &Path, packages: &[&str], master: Option<&str>, more: &[String]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    if let Some(master) = master {
        arguments.extend(["--master".into(), master.into()]);
    }
    let has_own = more.iter().any(|word| word.starts_with("--packages") || word.starts_with("--jars"));
    if !packages.is_empty() && !has_own {
        arguments.extend(["--packages".into(), packages.join(",").into()]);
    }
    arguments.extend(more.iter().map(OsString::from));
    arguments.push(job.into());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with_spark() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        forebay_storage::Door::new().create_dir_all(&bin).unwrap();
        forebay_storage::Door::new().write_new(&bin.join("spark-submit"), b"").unwrap();
        folder
    }

    #[test]
    fn spark_is_found_where_people_have_it() {
        let (home, other) = (folder_with_spark(), folder_with_spark());
        let places = |home: Option<&Path>, path: &[&Path]| Places {
            home: home.map(Path::to_owned),
            path: path.iter().map(|folder| folder.join("bin")).collect(),
            pyspark: || None,
        };
        let program = |folder: &tempfile::TempDir| folder.path().join("bin/spark-submit");
        assert_eq!(places(Some(home.path()), &[other.path()]).find().unwrap(), program(&home));
        assert_eq!(places(None, &[Path::new("/nowhere"), other.path()]).find().unwrap(), program(&other));
        let wrong = places(Some(Path::new("/nowhere")), &[other.path()]).find().unwrap_err();
        assert!(wrong.place() == Some("/nowhere") && wrong.hint().contains("SPARK_HOME"), "{wrong}");
        assert!(places(None, &[]).find().unwrap_err().hint().contains("pip install pyspark"));
    }

    #[test]
    fn ones_own_jars_replace_the_packages() {
        let text = |more: &[&str], master| {
            let more: Vec<String> = more.iter().map(|word| (*word).to_owned()).collect();
            let words = arguments(Path::new("job.py"), &["a:b:1", "c:d:2"], master, &more);
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(text(&[], None), "--packages a:b:1,c:d:2 job.py");
        assert_eq!(
            text(&["--jars", "x.jar"], Some("spark://host:7077")),
            "--master spark://host:7077 --jars x.jar job.py"
        );
    }
}
