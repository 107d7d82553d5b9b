package ui

import (
	"fmt"
	"io"
	"strings"
)

// The shape of docker's tables: a column is at least 10 cells wide, its padding of 3 included.
const (
	minColumn     = 10
	columnPadding = 3
)

// Table collects rows and writes them with aligned columns, as docker does.
type Table struct {
	rows [][]string
}

// NewTable begins a table; with no header none is written.
func NewTable(header ...string) *Table {
	t := &Table{}
	if len(header) > 0 {
		t.Row(header...)
	}
	return t
}

// Row adds a row. Control characters in the cells are dropped.
func (t *Table) Row(cells ...string) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = Clean(c)
	}
	t.rows = append(t.rows, row)
}

// Write writes the table. The last cell of a row is not padded.
func (t *Table) Write(w io.Writer) error {
	var widths []int
	for _, row := range t.rows {
		for i := range row {
			if i == len(widths) {
				widths = append(widths, minColumn)
			}
			widths[i] = max(widths[i], Width(row[i])+columnPadding)
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		for i, c := range row {
			if i < len(row)-1 {
				c = pad(c, widths[i])
			}
			b.WriteString(c)
		}
		b.WriteByte('\n')
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}
