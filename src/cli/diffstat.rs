//! `--stat`: a line per file with its share of `+` and `-`, laid out as `git diff --stat` lays it out.
//!
//! Numbers and names in, lines out; knows neither revisions nor how lines are counted.

use super::style::{Paint, Style};

/// What is known of one file.
#[derive(Debug, Clone)]
pub(super) struct FileStat {
    /// Its name as shown.
    pub(super) name: String,
    /// What changed.
    pub(super) count: Count,
}

/// How much of a file changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Count {
    /// Lines added and removed.
    Lines(usize, usize),
    /// Bytes before and after, for what has no lines.
    Bytes(u64, u64),
}

fn digits(number: u64) -> usize {
    number.to_string().len()
}

/// Columns a text takes. Wide characters count as two, as a terminal shows them.
fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// `amount` of `most` in `columns`; what is not nothing gets one at least.
fn scale(amount: usize, columns: usize, most: usize) -> usize {
    if amount == 0 { 0 } else { 1 + amount * (columns - 1) / most }
}

struct Layout {
    name: usize,
    number: usize,
    graph: usize,
    most: usize,
}

impl Layout {
    fn of(files: &[FileStat], columns: usize) -> Self {
        let longest = files.iter().map(|file| width(&file.name)).max().unwrap_or(0);
        let (mut most, mut number, mut bytes_width) = (0, 0, 0);
        for file in files {
            match file.count {
                Count::Lines(added, removed) => most = most.max(added + removed),
                Count::Bytes(old, new) => {
                    // "Bin 12 -> 34 bytes", aligned with the numbers.
                    bytes_width = bytes_width.max(14 + digits(old) + digits(new));
                    number = 3;
                }
            }
        }
        let number = number.max(digits(most as u64));
        let columns = columns.max(16 + 6 + number);
        let mut graph = if most + 4 > bytes_width { most } else { bytes_width - 4 };
        let mut name = longest;
        if name + number + 6 + graph > columns {
            let share = (columns * 3 / 8).saturating_sub(number + 6);
            if graph > share {
                graph = share.max(6);
            }
            let left = columns - number - 6;
            if name > left - graph {
                name = left - graph;
            } else {
                graph = left - name;
            }
        }
        Self { name, number, graph, most }
    }

    /// The end of a name that is too long, from a `/` if there is one, and the spaces after it.
    fn name(&self, name: &str) -> String {
        let whole = width(name);
        if whole <= self.name {
            return format!("{name}{}", " ".repeat(self.name - whole));
        }
        let room = self.name.saturating_sub(3);
        let mut rest = name;
        while width(rest) > room {
            let mut chars = rest.chars();
            chars.next();
            rest = chars.as_str();
        }
        rest = rest.find('/').map_or(rest, |slash| &rest[slash..]);
        format!("...{rest}{}", " ".repeat(room.saturating_sub(width(rest))))
    }

    fn line(&self, file: &FileStat, style: Style) -> String {
        let (name, number) = (self.name(&file.name), self.number);
        match file.count {
            Count::Bytes(0, 0) => format!(" {name} | {:>number$}", "Bin"),
            Count::Bytes(old, new) => format!(
                " {name} | {:>number$} {} -> {} bytes",
                "Bin",
                style.paint(Paint::Old, &old.to_string()),
                style.paint(Paint::New, &new.to_string())
            ),
            Count::Lines(added, removed) => {
                let (plus, minus) = self.bars(added, removed);
                let total = added + removed;
                let gap = if total > 0 { " " } else { "" };
                format!(
                    " {name} | {total:>number$}{gap}{}{}",
                    style.paint(Paint::New, &"+".repeat(plus)),
                    style.paint(Paint::Old, &"-".repeat(minus))
                )
            }
        }
    }

    fn bars(&self, added: usize, removed: usize) -> (usize, usize) {
        if self.graph > self.most {
            return (added, removed);
        }
        let scaled = |amount| scale(amount, self.graph, self.most);
        let mut total = scaled(added + removed);
        if total < 2 && added > 0 && removed > 0 {
            total = 2;
        }
        if added < removed {
            (scaled(added), total - scaled(added))
        } else {
            (total - scaled(removed), scaled(removed))
        }
    }
}

/// The lines of `--stat`; none when nothing changed.
pub(super) fn lines(files: &[FileStat], columns: usize, style: Style) -> Vec<String> {
    if files.is_empty() {
        return Vec::new();
    }
    let layout = Layout::of(files, columns);
    let mut lines: Vec<String> = files.iter().map(|file| layout.line(file, style)).collect();
    lines.extend(summary(files));
    lines
}

/// The line of `--shortstat`; none when nothing changed.
pub(super) fn summary(files: &[FileStat]) -> Option<String> {
    if files.is_empty() {
        return None;
    }
    let (added, removed) = files.iter().fold((0, 0), |(added, removed), file| match file.count {
        Count::Lines(plus, minus) => (added + plus, removed + minus),
        Count::Bytes(..) => (added, removed),
    });
    let several = |n: usize| if n == 1 { "" } else { "s" };
    let mut parts = vec![format!(" {} file{} changed", files.len(), several(files.len()))];
    if added > 0 || removed == 0 {
        parts.push(format!("{added} insertion{}(+)", several(added)));
    }
    if removed > 0 || added == 0 {
        parts.push(format!("{removed} deletion{}(-)", several(removed)));
    }
    Some(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ever_too_narrow() {
        for columns in 0..120 {
            for (added, removed) in [(0, 0), (1, 0), (1, 1), (100_000, 1), (1, 100_000)] {
                let name = "a/long/name/of/a/file/in/many/folders/and/more/漢字漢字漢字.txt".to_owned();
                let files = [
                    FileStat { name, count: Count::Lines(added, removed) },
                    FileStat { name: "b".to_owned(), count: Count::Bytes(5, 0) },
                ];
                assert_eq!(lines(&files, columns, Style::PLAIN).len(), 3);
            }
        }
    }
}
