//! Rows in columns that fit: the least important columns go first, what is left over goes to the last one.

use super::super::line::{Line, Tone};

/// A column.
pub struct Column {
    /// What stands above it.
    pub title: String,
    /// Numbers stand at the right.
    pub is_right: bool,
    /// The higher, the sooner it goes; 0 stays.
    pub rank: u8,
}

/// What stands in a row and column.
pub type Cell = (Tone, String);

/// Blanks between columns.
const GAP: usize = 2;
/// Widest column, but for the last one.
const WIDEST: usize = 32;
/// The last column is not worth less.
const LAST: usize = 12;

impl Column {
    /// A column of texts.
    pub fn left(title: &str, rank: u8) -> Self {
        Self { title: title.to_owned(), is_right: false, rank }
    }

    /// A column of numbers.
    pub fn right(title: &str, rank: u8) -> Self {
        Self { title: title.to_owned(), is_right: true, rank }
    }
}

/// The titles and the rows, each at most `width` wide, a blank in front.
pub fn table(columns: &[Column], rows: &[Vec<Cell>], width: usize) -> (Line, Vec<Line>) {
    let wide = |text: &str| Line::of(Tone::Plain, text).width();
    let mut widths: Vec<usize> = (columns.iter().enumerate())
        .map(|(index, column)| {
            let cells = rows.iter().filter_map(|row| row.get(index)).map(|(_, text)| wide(text));
            cells.max().unwrap_or(0).max(wide(&column.title))
        })
        .collect();
    let last = columns.len().saturating_sub(1);
    for (index, width) in widths.iter_mut().enumerate() {
        *width = (*width).min(if index == last { LAST.max(wide(&columns[index].title)) } else { WIDEST });
    }
    let width = width.saturating_sub(1);
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let taken =
        |kept: &[usize]| kept.iter().map(|index| widths[*index] + GAP).sum::<usize>().saturating_sub(GAP);
    while taken(&kept) > width
        && let Some(least) =
            kept.iter().copied().filter(|it| columns[*it].rank > 0).max_by_key(|it| (columns[*it].rank, *it))
    {
        kept.retain(|index| *index != least);
    }
    let spare = width.saturating_sub(taken(&kept));
    if let Some(end) = kept.last().copied().filter(|end| !columns[*end].is_right) {
        widths[end] += spare;
    }
    let line = |cell: &dyn Fn(usize) -> Cell| {
        let mut line = Line::of(Tone::Plain, " ");
        for (place, index) in kept.iter().enumerate() {
            if place > 0 {
                line.push(Tone::Plain, &" ".repeat(GAP));
            }
            let (tone, text) = cell(*index);
            line.cell(tone, &text, widths[*index], columns[*index].is_right);
        }
        line
    };
    let titles = line(&|index| (Tone::Dim, columns[index].title.clone()));
    let rows = rows.iter().map(|row| line(&|index| row.get(index).cloned().unwrap_or_default())).collect();
    (titles, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_columns_make_room() {
        let columns =
            [Column::left("name", 0), Column::right("a", 3), Column::right("b", 1), Column::left("why", 0)];
        let row = ["device_1", "1.5", "22", "a longer reason"].map(|text| (Tone::Plain, text.to_owned()));
        for (width, titles, shown) in [
            (60, " name        a   b  why", " device_1  1.5  22  a longer reason"),
            (32, " name        a   b  why", " device_1  1.5  22  a longer re…"),
            (28, " name       b  why", " device_1  22  a longer rea…"),
            (24, " name      why", " device_1  a longer rea…"),
        ] {
            let (head, rows) = table(&columns, &[row.to_vec()], width);
            assert_eq!((head.text().trim_end(), rows[0].text().trim_end()), (titles, shown), "{width}");
            assert!(rows[0].width() <= width, "{width}");
        }
    }
}
