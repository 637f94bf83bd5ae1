//! Columns of text under each other. Knows widths, not what is in them.

use unicode_width::UnicodeWidthStr as _;

/// Lines of a table; the columns whose numbers are in `right` are aligned at their right end.
pub(super) fn lines<const N: usize>(rows: &[[String; N]], right: &[usize]) -> Vec<String> {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cell = |column: usize| {
            let gap = " ".repeat(widths[column] - row[column].width());
            if right.contains(&column) {
                format!("{gap}{}", row[column])
            } else {
                format!("{}{gap}", row[column])
            }
        };
        (0..N).map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "1"], ["漢", "10"]].map(|row| row.map(str::to_owned));
        assert_eq!(lines(&rows, &[1]), ["a    1", "漢  10"]);
    }
}
