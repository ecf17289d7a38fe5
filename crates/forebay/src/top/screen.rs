//! The terminal: taken at the start, drawn on, given back.
//!
//! What must stay true: however the program ends (a key, a signal, an error, a panic), the terminal is as it was: its
//! own screen, its cursor, its line editing. Only lines that changed are written; every text in them is harmless
//! already ([`super::line`]).

use std::io::{self, Stdin, Write};
use std::panic;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::keys::{Key, keys};
use super::line::{Line, Tone};

/// Another screen, no cursor, no line that goes on in the next.
const TAKE: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
/// All of that back.
const GIVE_BACK: &str = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

/// The size of a terminal that does not say it.
const USUAL: (usize, usize) = (80, 24);

/// A terminal that is drawn on.
pub struct Screen<W: Write> {
    out: W,
    is_colored: bool,
    shown: Vec<Line>,
    /// How the terminal was, if it is ours to give back.
    before: Option<Termios>,
}

impl Screen<io::Stdout> {
    /// Takes the terminal of stdin and stdout.
    pub fn take(is_colored: bool) -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        give_back_at_panic(&before);
        Self::on(io::stdout(), is_colored, Some(before))
    }
}

impl<W: Write> Screen<W> {
    fn on(mut out: W, is_colored: bool, before: Option<Termios>) -> io::Result<Self> {
        let taken = out.write_all(TAKE.as_bytes()).and_then(|()| out.flush());
        // Made before the outcome is looked at: what was taken by half is given back too.
        let screen = Self { out, is_colored, shown: Vec::new(), before };
        taken.map(|()| screen)
    }

    /// Draws what is different from what is there.
    pub fn draw(&mut self, lines: Vec<Line>) -> io::Result<()> {
        let mut text = String::new();
        for (row, line) in lines.iter().enumerate().filter(|(row, line)| self.shown.get(*row) != Some(line)) {
            text.push_str(&format!("\x1b[{};1H", row + 1));
            self.paint(line, &mut text);
            text.push_str("\x1b[K");
        }
        self.shown = lines;
        if text.is_empty() {
            return Ok(());
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Forgets what is there, as after a change of size.
    pub fn forget(&mut self) -> io::Result<()> {
        self.shown.clear();
        self.out.write_all(b"\x1b[2J")
    }

    fn paint(&self, line: &Line, text: &mut String) {
        for piece in line.pieces() {
            let code = code(piece.tone, self.is_colored);
            if code.is_empty() {
                text.push_str(&piece.text);
            } else {
                text.push_str(&format!("\x1b[{code}m{}\x1b[0m", piece.text));
            }
        }
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        let _ = self.out.write_all(GIVE_BACK.as_bytes()).and_then(|()| self.out.flush());
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// What a panic says is to be read on the terminal as it was.
fn give_back_at_panic(before: &Termios) {
    let (usual, before) = (panic::take_hook(), before.clone());
    panic::set_hook(Box::new(move |panic| {
        let _ = io::stdout().write_all(GIVE_BACK.as_bytes()).and_then(|()| io::stdout().flush());
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        usual(panic);
    }));
}

/// How a tone is drawn; without colours a bad one is still stronger than a good one.
fn code(tone: Tone, is_colored: bool) -> &'static str {
    match (tone, is_colored) {
        (Tone::Plain, _) | (Tone::Good, false) => "",
        (Tone::Dim, _) => "2",
        (Tone::Strong, _) | (Tone::Warn | Tone::Bad, false) => "1",
        (Tone::Turned, _) => "7",
        (Tone::Good, true) => "32",
        (Tone::Warn, true) => "33",
        (Tone::Bad, true) => "1;31",
    }
}

/// Columns and rows of the terminal at stdout.
pub fn size() -> (usize, usize) {
    let size = tcgetwinsize(io::stdout()).map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    size.ok().filter(|(columns, rows)| *columns > 0 && *rows > 0).unwrap_or(USUAL)
}

/// Reads keys until nobody wants them or there are none any more. The thread is not waited for: at the end of the
/// program it sits in a read that nothing else would end.
pub fn read_keys(mut stdin: Stdin) -> tokio::sync::mpsc::Receiver<Key> {
    let (sender, receiver) = tokio::sync::mpsc::channel(64);
    std::thread::spawn(move || {
        let mut bytes = [0; 256];
        while let Ok(count @ 1..) = io::Read::read(&mut stdin, &mut bytes) {
            for key in keys(&bytes[..count]) {
                if sender.blocking_send(key).is_err() {
                    return;
                }
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What a terminal was sent.
    #[derive(Clone, Default)]
    struct Sent(Arc<Mutex<Vec<u8>>>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sent {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    #[test]
    fn only_what_changed_is_drawn() {
        let sent = Sent::default();
        let mut screen = Screen::on(sent.clone(), true, None).unwrap();
        assert_eq!(sent.take(), TAKE);
        let line = |tone, text| Line::of(tone, text);
        screen.draw(vec![line(Tone::Plain, "a"), line(Tone::Bad, "b")]).unwrap();
        assert_eq!(sent.take(), "\x1b[1;1Ha\x1b[K\x1b[2;1H\x1b[1;31mb\x1b[0m\x1b[K");
        screen.draw(vec![line(Tone::Plain, "a"), line(Tone::Good, "b")]).unwrap();
        assert_eq!(sent.take(), "\x1b[2;1H\x1b[32mb\x1b[0m\x1b[K");
        screen.draw(vec![line(Tone::Plain, "a"), line(Tone::Good, "b")]).unwrap();
        assert_eq!(sent.take(), "");
        screen.forget().unwrap();
        screen.draw(vec![line(Tone::Plain, "a")]).unwrap();
        assert_eq!(sent.take(), "\x1b[2J\x1b[1;1Ha\x1b[K");
    }

    #[test]
    fn without_colours_there_is_none() {
        let sent = Sent::default();
        let mut screen = Screen::on(sent.clone(), false, None).unwrap();
        sent.take();
        let tones = [Tone::Plain, Tone::Dim, Tone::Strong, Tone::Good, Tone::Warn, Tone::Bad, Tone::Turned];
        screen.draw(tones.iter().map(|tone| Line::of(*tone, "x")).collect()).unwrap();
        let drawn = sent.take();
        let codes = drawn.split("\x1b[").filter_map(|part| part.split_once('m')).map(|(code, _)| code);
        assert!(codes.clone().all(|code| ["0", "1", "2", "7"].contains(&code)), "{drawn:?}");
        assert_eq!(codes.filter(|code| *code != "0").count(), 5);
    }

    #[test]
    fn the_terminal_is_given_back_also_when_the_program_breaks() {
        let sent = Sent::default();
        let out = sent.clone();
        let broken = panic::catch_unwind(move || {
            let _screen = Screen::on(out, true, None).unwrap();
            panic!("on purpose");
        });
        assert!(broken.is_err());
        assert_eq!(sent.take(), format!("{TAKE}{GIVE_BACK}"));
    }
}
