package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// templateFuncs are docker's functions of --format.
func templateFuncs() template.FuncMap {
	return template.FuncMap{
		"json":  toJSON,
		"join":  joinAny,
		"split": strings.Split,
		"lower": strings.ToLower,
		"upper": strings.ToUpper,
		"title": func(s string) string {
			if s == "" {
				return s
			}
			return strings.ToUpper(s[:1]) + s[1:]
		},
		"pad": func(s string, before, after int) string {
			return strings.Repeat(" ", max(0, before)) + s + strings.Repeat(" ", max(0, after))
		},
		"truncate": func(s string, n int) string { return s[:min(len(s), max(0, n))] },
	}
}

// joinAny is strings.Join for the lists of decoded JSON.
func joinAny(list any, sep string) (string, error) {
	switch l := list.(type) {
	case nil:
		return "", nil
	case []string:
		return strings.Join(l, sep), nil
	case []any:
		words := make([]string, len(l))
		for i, v := range l {
			words[i] = fmt.Sprint(v)
		}
		return strings.Join(words, sep), nil
	}
	return "", fmt.Errorf("join: %T is no list", list)
}

// toJSON is v as one line of JSON, with <, > and & as they are.
func toJSON(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// asMap turns a value into what its JSON says, so that a template finds the names docker's JSON has.
func asMap(v any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return m, nil
}

// parseTemplate reads a --format.
func parseTemplate(format string) (*template.Template, error) {
	t, err := template.New("").Funcs(templateFuncs()).Option("missingkey=error").Parse(format)
	if err != nil {
		return nil, hint.With(fmt.Errorf("template parsing error: %w", err), "a Go template, such as:  --format '{{.Id}}'")
	}
	return t, nil
}

// execTemplate writes one object by the template, and a newline.
func execTemplate(w io.Writer, t *template.Template, v any) error {
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		if e, ok := errors.AsType[template.ExecError](err); ok {
			err = e.Err
		}
		return hint.With(fmt.Errorf("template parsing error: %w", err), "the names there are:  --format '{{json .}}'")
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

// listing is how a list command shows its rows: as a table, as JSON lines, or by a template.
type listing struct {
	format string
	quiet  bool
	table  []string          // the keys of the columns of the plain table
	id     string            // the key of what -q shows
	titles map[string]string // headers that differ from columnTitle's
}

// title is the header of a column.
func (l *listing) title(key string) string {
	if t, ok := l.titles[key]; ok {
		return t
	}
	return columnTitle(key)
}

// write writes rows, each a map from docker's names to texts.
func (l *listing) write(w io.Writer, rows []map[string]string) error {
	format := l.format
	if l.quiet && (format == "" || format == "table") {
		format = "{{." + l.id + "}}"
	}
	switch {
	case format == "" || format == "table":
		return l.writeTable(w, l.table, rows)
	case format == formatJSON:
		format = "{{json .}}"
	case strings.HasPrefix(format, "table "):
		return l.writeTemplateTable(w, strings.TrimPrefix(format, "table "), rows)
	}
	t, err := parseTemplate(unescape(format))
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := execTemplate(w, t, r); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) writeTable(w io.Writer, keys []string, rows []map[string]string) error {
	headers := make([]string, len(keys))
	for i, k := range keys {
		headers[i] = l.title(k)
	}
	t := ui.NewTable(headers...)
	for _, r := range rows {
		cells := make([]string, len(keys))
		for i, k := range keys {
			cells[i] = r[k]
		}
		t.Row(cells...)
	}
	return t.Write(w)
}

// writeTemplateTable is docker's "table {{.ID}}\t{{.Tag}}": tabs part the columns, the names are the headers.
func (l *listing) writeTemplateTable(w io.Writer, format string, rows []map[string]string) error {
	t, err := parseTemplate(unescape(format))
	if err != nil {
		return err
	}
	titles := map[string]string{}
	for _, r := range rows[:min(1, len(rows))] {
		for k := range r {
			titles[k] = l.title(k)
		}
	}
	for _, k := range l.table {
		titles[k] = l.title(k)
	}
	out := ui.NewTable()
	for _, r := range append([]map[string]string{titles}, rows...) {
		var b bytes.Buffer
		if err := execTemplate(&b, t, r); err != nil {
			return err
		}
		out.Row(strings.Split(strings.TrimSuffix(b.String(), "\n"), "\t")...)
	}
	return out.Write(w)
}

// unescape reads the \t and \n that a shell's quotes leave in a format.
func unescape(s string) string { return strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(s) }

// columnTitle is docker's header of a column: "REPOSITORY", "IMAGE ID", "CREATED".
func columnTitle(key string) string {
	switch key {
	case "ID":
		return "IMAGE ID"
	case "CreatedSince":
		return "CREATED"
	case "CreatedAt":
		return "CREATED AT"
	case "CreatedBy":
		return "CREATED BY"
	}
	return strings.ToUpper(key)
}
