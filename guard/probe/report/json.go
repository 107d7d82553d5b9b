package report

import (
	"encoding/json"
	"io"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// formatVersion is that of the JSON: docs/probe.md has its fields.
const formatVersion = 1

// jsonReport is the whole.
type jsonReport struct {
	Version  int          `json:"version"`
	Deckhand string       `json:"deckhand"`
	Image    string       `json:"image"`
	ImageID  string       `json:"imageId"`
	Columns  []jsonColumn `json:"columns"`
	Probes   []jsonProbe  `json:"probes"`
}

type jsonColumn struct {
	Title   string         `json:"title"`
	Kind    Kind           `json:"kind"`
	Asked   string         `json:"asked,omitempty"`
	User    string         `json:"user"`
	Root    bool           `json:"root"`
	Summary probe.Tally    `json:"summary"`
	Results []probe.Result `json:"results"`
}

type jsonProbe struct {
	probe.Probe
	Page string `json:"page"`
}

func writeJSON(w io.Writer, r *Report, o Options) error {
	out := jsonReport{Version: formatVersion, Deckhand: o.Version, Image: r.Image, ImageID: r.ImageID, Columns: []jsonColumn{}}
	all := probe.Probes()
	for i := range r.Columns {
		c := &r.Columns[i]
		column := jsonColumn{Title: c.Title, Kind: c.Kind, Asked: c.Asked, User: c.User, Root: c.Root(), Summary: c.Tally()}
		for _, p := range all {
			res := c.Of(p.Name)
			res.Verdict = verdict(res)
			column.Results = append(column.Results, res)
		}
		out.Columns = append(out.Columns, column)
	}
	for _, p := range all {
		out.Probes = append(out.Probes, jsonProbe{p, pages + p.Name + ".md"})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
