package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

//go:embed page.html
var pageTemplate string

// pageData is what the page is made from.
type pageData struct {
	*Report
	Version  string
	Families []pageFamily
	Span     int // how many columns the table has
	Changes  []change
	Failures []failure
}

type pageFamily struct {
	Name probe.Family
	Rows []pageRow
}

type pageRow struct {
	probe.Probe
	Page  string
	Cells []pageCell
}

// pageCell is one result. Class is the verdict, and where that is allowed the severity.
type pageCell struct {
	Class, Text, Detail string
}

func writeHTML(w io.Writer, r *Report, o Options) error {
	t, err := template.New("page").Funcs(template.FuncMap{"counts": counts}).Parse(pageTemplate)
	if err != nil {
		return fmt.Errorf("read the page's template: %w", err)
	}
	r = r.clean()
	data := pageData{Report: r, Version: o.Version, Span: len(r.Columns) + 2, Changes: r.changes(), Failures: r.failures()}
	for _, all := range families() {
		family := pageFamily{Name: all[0].Family}
		for _, p := range all {
			family.Rows = append(family.Rows, row(p, r.Columns))
		}
		data.Families = append(data.Families, family)
	}
	return t.Execute(w, data)
}

// clean is the report without characters that have no place in HTML, or turn the direction of what follows.
func (r *Report) clean() *Report {
	out := &Report{Image: ui.Clean(r.Image), ImageID: ui.Clean(r.ImageID)}
	for _, c := range r.Columns {
		c.Title, c.User, c.Results = ui.Clean(c.Title), ui.Clean(c.User), slices.Clone(c.Results)
		for i := range c.Results {
			c.Results[i].By, c.Results[i].Detail = probe.By(ui.Clean(string(c.Results[i].By))), ui.Clean(c.Results[i].Detail)
		}
		out.Columns = append(out.Columns, c)
	}
	return out
}

func row(p probe.Probe, columns []Column) pageRow {
	out := pageRow{Probe: p, Page: pages + p.Name + ".md"}
	for i := range columns {
		r := columns[i].Of(p.Name)
		cell := pageCell{Class: string(verdict(r)), Text: string(verdict(r)), Detail: r.Detail}
		switch {
		case verdict(r) == probe.Allowed:
			cell.Class += " " + string(p.Severity)
		case verdict(r) == probe.Denied && r.By != "":
			cell.Text += ": " + string(r.By)
		}
		out.Cells = append(out.Cells, cell)
	}
	return out
}
