package policy

import (
	"bytes"
	"strings"
)

// span are the lines of an instruction, from 1.
type span struct{ from, to int }

// unitSpans are the assignments of a unit that have more than a line.
func unitSpans(lines [][]byte) []span {
	return joined(lines, '\\', "#;", false)
}

// dockerfileSpans are the instructions of a Dockerfile that have more than a line.
func dockerfileSpans(lines [][]byte) []span {
	return joined(lines, escapeCharacter(lines), "#", true)
}

// joined finds the lines that belong together: those that end with the escape character and, in a Dockerfile, those
// of heredocs. Comments between them belong to them; so do empty lines in a Dockerfile.
func joined(lines [][]byte, escape byte, characters string, dockerfile bool) []span {
	spans := []span{}
	skip := func(line []byte) bool {
		trimmed := bytes.TrimSpace(line)
		return len(trimmed) == 0 && dockerfile || len(trimmed) > 0 && strings.IndexByte(characters, trimmed[0]) >= 0
	}
	for i := 0; i < len(lines); i++ {
		if skip(lines[i]) {
			continue
		}
		end := lastLine(lines, i, escape, skip)
		if dockerfile {
			end = heredocs(lines, i, end)
		}
		if end > i {
			spans = append(spans, span{i + 1, end + 1})
		}
		i = end
	}
	return spans
}

// lastLine is the index of the last line that the escape character joins to the one at start.
func lastLine(lines [][]byte, start int, escape byte, skip func([]byte) bool) int {
	end := start
	for i := start; i < len(lines); i++ {
		if i > start && skip(lines[i]) {
			continue
		}
		end = i
		if trimmed := bytes.TrimRight(lines[i], " \t\r"); len(trimmed) == 0 || trimmed[len(trimmed)-1] != escape {
			break
		}
	}
	return end
}

// escapeCharacter is what the parser directive "escape" says, in the comments that begin a Dockerfile.
func escapeCharacter(lines [][]byte) byte {
	for _, line := range lines {
		text, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("#"))
		key, value, found := bytes.Cut(text, []byte("="))
		if !ok || !found {
			break
		}
		if strings.EqualFold(string(bytes.TrimSpace(key)), "escape") && string(bytes.TrimSpace(value)) == "`" {
			return '`'
		}
	}
	return '\\'
}

// heredocs is the last line of the heredocs that the instruction opens, or the instruction's own.
func heredocs(lines [][]byte, start, end int) int {
	word, _, _ := strings.Cut(strings.TrimSpace(string(lines[start])), " ")
	switch strings.ToUpper(word) {
	case "RUN", "COPY", "ADD", "ONBUILD":
	default:
		return end
	}
	last := end
	for i := start; i <= end; i++ {
		for _, name := range heredocNames(string(lines[i])) {
			at := last + 1
			for at < len(lines) && strings.TrimLeft(strings.TrimRight(string(lines[at]), "\r"), "\t") != name {
				at++
			}
			if at == len(lines) {
				return last
			}
			last = at
		}
	}
	return last
}

// heredocNames are the names behind << and <<- in a line.
func heredocNames(line string) []string {
	var names []string
	for {
		i := strings.Index(line, "<<")
		if i < 0 {
			return names
		}
		line = line[i+2:]
		if rest, ok := strings.CutPrefix(line, "<"); ok { // <<< is a string
			line = rest
			continue
		}
		name := strings.TrimLeft(strings.TrimPrefix(line, "-"), `"'`)
		n := 0
		for n < len(name) && (name[n] == '_' || name[n] >= '0' && name[n] <= '9' || name[n]|0x20 >= 'a' && name[n]|0x20 <= 'z') {
			n++
		}
		if n > 0 {
			names = append(names, name[:n])
		}
	}
}
