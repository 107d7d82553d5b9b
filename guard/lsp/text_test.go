package lsp

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/deckhand-engine/deckhand/guard"
)

func at(line, character uint32) position { return position{line, character} }

func TestSpan(t *testing.T) {
	const (
		crlf  = "FROM a\r\n  USER é\r\nCMD b\r\n"
		multi = "LABEL a=\"é𝄞x\"\nUSER 0"
	)
	tests := map[string]struct {
		source string
		unit   encoding
		where  guard.Location
		want   span
	}{
		"columns":                     {"FROM a\nUSER root\n", utf16Units, guard.Location{Line: 2, Column: 6, EndLine: 2, EndColumn: 10}, span{at(1, 5), at(1, 9)}},
		"a whole line":                {"FROM a\n\tUSER root\n", utf16Units, guard.Location{Line: 2}, span{at(1, 1), at(1, 10)}},
		"whole lines":                 {"RUN a \\\n b\nUSER 0\n", utf16Units, guard.Location{Line: 1, EndLine: 2}, span{at(0, 0), at(1, 2)}},
		"to the end of the line":      {"FROM a\nUSER root\n", utf16Units, guard.Location{Line: 2, Column: 6}, span{at(1, 5), at(1, 9)}},
		"the document":                {" FROM a\nUSER 0\n", utf16Units, guard.Location{}, span{at(0, 1), at(0, 7)}},
		"an empty document":           {"", utf16Units, guard.Location{Line: 1, Column: 1, EndLine: 1, EndColumn: 5}, span{}},
		"CRLF, a whole line":          {crlf, utf16Units, guard.Location{Line: 2}, span{at(1, 2), at(1, 8)}},
		"CRLF, up to the next line":   {crlf, utf16Units, guard.Location{Line: 2, Column: 3, EndLine: 3, EndColumn: 1}, span{at(1, 2), at(2, 0)}},
		"CRLF, beyond the line":       {crlf, utf16Units, guard.Location{Line: 1, Column: 6, EndLine: 1, EndColumn: 99}, span{at(0, 5), at(0, 6)}},
		"CRLF, in bytes":              {crlf, utf8Bytes, guard.Location{Line: 2, Column: 8, EndLine: 2, EndColumn: 10}, span{at(1, 7), at(1, 9)}},
		"a lone CR ends a line":       {"a\rUSER 0\nx", utf16Units, guard.Location{Line: 1, Column: 3, EndLine: 1, EndColumn: 7}, span{at(1, 0), at(1, 4)}},
		"behind a two byte character": {multi, utf16Units, guard.Location{Line: 1, Column: 12, EndLine: 1, EndColumn: 16}, span{at(0, 10), at(0, 12)}},
		"behind a surrogate pair":     {multi, utf16Units, guard.Location{Line: 1, Column: 16, EndLine: 1, EndColumn: 17}, span{at(0, 12), at(0, 13)}},
		"the same in bytes":           {multi, utf8Bytes, guard.Location{Line: 1, Column: 16, EndLine: 1, EndColumn: 17}, span{at(0, 15), at(0, 16)}},
		"within a character":          {multi, utf16Units, guard.Location{Line: 1, Column: 14, EndLine: 1, EndColumn: 17}, span{at(0, 10), at(0, 13)}},
		"beyond the line":             {multi, utf16Units, guard.Location{Line: 2, Column: 90, EndLine: 2, EndColumn: 99}, span{at(1, 6), at(1, 6)}},
		"beyond the text":             {multi, utf16Units, guard.Location{Line: 7, Column: 2, EndLine: 9, EndColumn: 1}, span{at(1, 6), at(1, 6)}},
		"ends before it begins":       {multi, utf16Units, guard.Location{Line: 2, Column: 3, EndLine: 1, EndColumn: 1}, span{at(1, 2), at(1, 2)}},
		"negative":                    {multi, utf16Units, guard.Location{Line: -2, Column: -3, EndLine: -1, EndColumn: -7}, span{at(0, 0), at(0, 14)}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := newText([]byte(tt.source), tt.unit).span(tt.where); got != tt.want {
				t.Errorf("span = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestOffset(t *testing.T) {
	const source = "aé𝄞b\r\nx\ry\n"
	tests := map[string]struct {
		unit encoding
		at   position
		want int
	}{
		"start":                      {utf16Units, at(0, 0), 0},
		"behind two bytes":           {utf16Units, at(0, 2), 3},
		"within a surrogate pair":    {utf16Units, at(0, 3), 3},
		"behind a surrogate pair":    {utf16Units, at(0, 4), 7},
		"end of the line":            {utf16Units, at(0, 5), 8},
		"beyond the line, before CR": {utf16Units, at(0, 6), 8},
		"far beyond the line":        {utf16Units, at(0, 1<<32-1), 8},
		"second line":                {utf16Units, at(1, 0), 10},
		"behind a lone CR":           {utf16Units, at(2, 0), 12},
		"the last, empty line":       {utf16Units, at(3, 0), 14},
		"beyond the text":            {utf16Units, at(4, 0), 14},
		"far beyond the text":        {utf16Units, at(1<<32-1, 1<<32-1), 14},
		"bytes":                      {utf8Bytes, at(0, 7), 7},
		"bytes, within a character":  {utf8Bytes, at(0, 2), 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := newText([]byte(source), tt.unit).offset(tt.at); got != tt.want {
				t.Errorf("offset(%v) = %d, want %d", tt.at, got, tt.want)
			}
		})
	}
}

func TestChange(t *testing.T) {
	tests := map[string]struct {
		source, changes string
		want            string
		fails           bool
	}{
		"none":               {"FROM a\n", `[]`, "FROM a\n", false},
		"the whole text":     {"FROM a\n", `[{"text":"FROM b"}]`, "FROM b", false},
		"null is no range":   {"FROM a\n", `[{"range":null,"text":"FROM b"}]`, "FROM b", false},
		"insert":             {"FROM a\n", `[{"range":{"start":{"line":1,"character":0},"end":{"line":1,"character":0}},"text":"USER 1\n"}]`, "FROM a\nUSER 1\n", false},
		"replace":            {"FROM a\nUSER 0\n", `[{"range":{"start":{"line":1,"character":5},"end":{"line":1,"character":6}},"text":"9"}]`, "FROM a\nUSER 9\n", false},
		"delete lines":       {"a\nb\nc\n", `[{"range":{"start":{"line":0,"character":1},"end":{"line":2,"character":1}},"text":""}]`, "a\n", false},
		"one upon the other": {"ab", `[{"range":{"start":{"line":0,"character":0},"end":{"line":0,"character":1}},"text":"x\n"},{"range":{"start":{"line":1,"character":0},"end":{"line":1,"character":1}},"text":"y"}]`, "x\ny", false},
		"surrogates":         {"𝄞𝄞x", `[{"range":{"start":{"line":0,"character":2},"end":{"line":0,"character":4}},"text":"é"}]`, "𝄞éx", false},
		"CRLF stays":         {"a\r\nb", `[{"range":{"start":{"line":0,"character":1},"end":{"line":0,"character":9}},"text":"c"}]`, "ac\r\nb", false},
		"backwards":          {"abc", `[{"range":{"start":{"line":0,"character":2},"end":{"line":0,"character":1}},"text":""}]`, "ac", false},
		"beyond the text":    {"abc", `[{"range":{"start":{"line":8,"character":2},"end":{"line":9,"character":1}},"text":"d"}]`, "abcd", false},
		"no text":            {"abc", `[{"range":{"start":{"line":0,"character":0},"end":{"line":0,"character":1}}}]`, "", true},
		"a negative line":    {"abc", `[{"range":{"start":{"line":-1,"character":0},"end":{"line":0,"character":1}},"text":""}]`, "", true},
		"no object":          {"abc", `[7]`, "", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var changes []json.RawMessage
			if err := json.Unmarshal([]byte(tt.changes), &changes); err != nil {
				t.Fatal(err)
			}
			got, err := change([]byte(tt.source), utf16Units, changes)
			if (err != nil) != tt.fails || string(got) != tt.want {
				t.Errorf("change = %q, %v; want %q, fails %v", got, err, tt.want, tt.fails)
			}
		})
	}
}

// FuzzChange holds a change to what it does to the text as UTF-16, which is how the protocol defines it.
func FuzzChange(f *testing.F) {
	f.Add("FROM a\r\nUSER é\n", "USER 𝄞", uint32(1), uint32(5), uint32(1), uint32(6), true)
	f.Add("a\rb\n\nc", "", uint32(0), uint32(1), uint32(3), uint32(0), false)
	f.Add("𝄞", "\r\n", uint32(0), uint32(1), uint32(9), uint32(9), true)
	f.Fuzz(func(t *testing.T, source, inserted string, l1, c1, l2, c2 uint32, wide bool) {
		source, inserted = strings.ToValidUTF8(source, "?"), strings.ToValidUTF8(inserted, "?")
		unit := utf8Bytes
		if wide {
			unit = utf16Units
		}
		c, err := json.Marshal(map[string]any{"range": span{at(l1, c1), at(l2, c2)}, "text": inserted})
		if err != nil {
			t.Fatal(err)
		}
		got, err := change([]byte(source), unit, []json.RawMessage{c})
		if err != nil {
			t.Fatal(err)
		}
		start, end := naive(source, at(l1, c1), wide), naive(source, at(l2, c2), wide)
		if want := source[:min(start, end)] + inserted + source[max(start, end):]; string(got) != want {
			t.Errorf("change = %q, want %q", got, want)
		}
		if !utf8.Valid(got) {
			t.Errorf("change cuts a character: %q", got)
		}
		text := newText(got, unit)
		for offset := range len(got) + 1 {
			if back := text.offset(text.position(offset)); back > offset || utf8.RuneStart(append(got, 'x')[offset]) && back != offset && !inLineEnd(got, offset) {
				t.Errorf("offset %d of %q comes back as %d", offset, got, back)
			}
		}
	})
}

func inLineEnd(data []byte, offset int) bool {
	return offset > 0 && offset < len(data) && data[offset-1] == '\r' && data[offset] == '\n'
}

// naive finds a position by walking through the text character by character.
func naive(source string, p position, wide bool) int {
	line, left := uint32(0), p.Character
	for i := 0; i < len(source); {
		r, size := utf8.DecodeRuneInString(source[i:])
		ending := len("\r\n")
		if !strings.HasPrefix(source[i:], "\r\n") {
			ending = bytes.Count([]byte{source[i]}, []byte("\n")) + bytes.Count([]byte{source[i]}, []byte("\r"))
		}
		units := uint32(size)
		if wide {
			units = uint32(len(utf16.Encode([]rune{r})))
		}
		switch {
		case line == p.Line && (ending > 0 || left < units):
			return i
		case line == p.Line:
			left -= units
			i += size
		case ending > 0:
			line++
			i += ending
		default:
			i += size
		}
	}
	return len(source)
}

func TestEdit(t *testing.T) {
	text := newText([]byte("FROM a\nUSER \"é\" x\n"), utf16Units)
	location := func(line, column, endLine, endColumn int) guard.Location {
		return guard.Location{Line: line, Column: column, EndLine: endLine, EndColumn: endColumn}
	}
	tests := map[string]struct {
		where guard.Location
		want  span
		ok    bool
	}{
		"a part of a line":    {location(2, 11, 2, 12), span{at(1, 9), at(1, 10)}, true},
		"a whole line":        {location(2, 1, 3, 1), span{at(1, 0), at(2, 0)}, true},
		"an insertion":        {location(2, 1, 0, 0), span{at(1, 0), at(1, 0)}, true},
		"behind the text":     {location(3, 1, 3, 1), span{at(2, 0), at(2, 0)}, true},
		"a line too far":      {location(4, 1, 4, 1), span{}, false},
		"no line":             {location(0, 1, 0, 1), span{}, false},
		"a column too far":    {location(1, 9, 1, 9), span{}, false},
		"ends before it does": {location(2, 5, 2, 4), span{}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := text.edit(guard.Edit{At: tt.where, Text: "z"})
			if ok != tt.ok || got.Range != tt.want {
				t.Errorf("edit = %v, %v; want %v, %v", got.Range, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	tests := map[string]struct {
		offered []encoding
		want    encoding
	}{
		"nothing": {nil, utf16Units}, "UTF-16": {[]encoding{"utf-16"}, utf16Units},
		"all": {[]encoding{"utf-32", "utf-16", "utf-8"}, utf8Bytes}, "UTF-32": {[]encoding{"utf-32"}, utf16Units},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := choose(tt.offered); got != tt.want {
				t.Errorf("choose = %s, want %s", got, tt.want)
			}
		})
	}
}
