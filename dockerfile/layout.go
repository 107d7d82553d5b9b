package dockerfile

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// span is a part of an instruction's text.
type span struct{ start, end int }

// layout says where the parts of an instruction stand in its text.
type layout struct {
	flags []span
	rest  int    // where the arguments begin
	args  []span // of Args or Pairs
}

// ArgRange is where Args[i] or Pairs[i] stands: without blanks around it, with quotes that belong to it.
func (f *File) ArgRange(in *Instruction, i int) Range {
	return f.nth(in, f.layout(in).args, i)
}

// ArgsRange is where all the arguments stand: what follows the keyword and its flags.
func (f *File) ArgsRange(in *Instruction) Range {
	end := len(strings.TrimRightFunc(in.Text, unicode.IsSpace))
	return f.TextRange(in, f.layout(in).rest, end)
}

// FlagRange is where Flags[i] stands, from its dashes on.
func (f *File) FlagRange(in *Instruction, i int) Range {
	return f.nth(in, f.layout(in).flags, i)
}

// KeywordRange is where the keyword stands.
func (f *File) KeywordRange(in *Instruction) Range {
	start, end := keywordSpan(in.Text)
	return f.TextRange(in, start, end)
}

func (f *File) nth(in *Instruction, spans []span, i int) Range {
	if i < 0 || i >= len(spans) {
		return in.Range
	}
	return f.TextRange(in, spans[i].start, spans[i].end)
}

// layout finds the parts of an instruction as BuildKit's parser divides them.
func (f *File) layout(in *Instruction) layout {
	text := strings.TrimRightFunc(in.Text, unicode.IsSpace)
	_, end := keywordSpan(text)
	var l layout
	l.flags, l.rest = flagSpans(text, skipBlanks(text, end), f.Escape)
	l.rest = len(text) - len(strings.TrimLeftFunc(text[l.rest:], unicode.IsSpace))
	l.args = f.argSpans(in, text, l.rest)
	return l
}

func (f *File) argSpans(in *Instruction, text string, rest int) []span {
	switch {
	case rest == len(text):
		return nil
	case in.Keyword == "HEALTHCHECK":
		return healthSpans(in, text, rest)
	case in.JSON:
		return jsonSpans(text, rest)
	}
	switch in.Keyword {
	case "FROM", "EXPOSE", "COPY", "ADD", "VOLUME":
		return blankSpans(text, rest)
	case "ARG":
		return wordSpans(text, rest, f.Escape)
	case "ENV", "LABEL":
		words := wordSpans(text, rest, f.Escape)
		if len(words) > 0 && !strings.Contains(text[words[0].start:words[0].end], "=") {
			return []span{{rest, len(text)}} // NAME VALUE
		}
		return words
	}
	return []span{{rest, len(text)}}
}

// isBlank is what BuildKit's parser divides words at; it does not know more of Unicode there.
func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r' }

func skipBlanks(text string, at int) int {
	for at < len(text) && isBlank(text[at]) {
		at++
	}
	return at
}

func skipWord(text string, at int) int {
	for at < len(text) && !isBlank(text[at]) {
		at++
	}
	return at
}

func keywordSpan(text string) (start, end int) {
	start = len(text) - len(strings.TrimLeftFunc(text, unicode.IsSpace))
	return start, skipWord(text, start)
}

// flagSpans are the words that begin with two dashes; rest is where the first other word begins.
func flagSpans(text string, at int, escape byte) (flags []span, rest int) {
	for {
		for at < len(text) && unicode.IsSpace(rune(text[at])) { // byte by byte, as BuildKit does
			at++
		}
		if !strings.HasPrefix(text[at:], "--") {
			return flags, at
		}
		end, written := flagEnd(text, at, escape)
		if written == 2 {
			return flags, end // "--" ends the flags
		}
		flags = append(flags, span{at, end})
		at = end
	}
}

// flagEnd is where the flag ends and how many bytes it has without quotes and escape characters.
func flagEnd(text string, at int, escape byte) (end, written int) {
	var quote byte
	for ; at < len(text); at++ {
		c := text[at]
		switch {
		case quote == 0 && unicode.IsSpace(rune(c)):
			return at, written
		case isQuote(c, quote):
			quote ^= c // opens, or closes what it opened
		case c == escape && at+1 == len(text):
			// one that escapes nothing is left out
		case c == escape:
			at++
			written++
		default:
			written++
		}
	}
	return len(text), written
}

// isQuote reports whether the byte begins a quotation, or ends the one that was begun with quote.
func isQuote(c, quote byte) bool {
	return quote == 0 && (c == '\'' || c == '"') || quote != 0 && c == quote
}

// blankSpans are the words between blanks.
func blankSpans(text string, at int) []span {
	var spans []span
	for at < len(text) {
		end := skipWord(text, at)
		spans = append(spans, span{at, end})
		at = skipBlanks(text, end)
	}
	return spans
}

// jsonSpans are the strings of a JSON array.
func jsonSpans(text string, at int) []span {
	var spans []span
	for ; at < len(text); at++ {
		if text[at] != '"' {
			continue
		}
		start := at
		for at++; at < len(text) && text[at] != '"'; at++ {
			if text[at] == '\\' {
				at++
			}
		}
		spans = append(spans, span{start, min(at+1, len(text))})
	}
	return spans
}

func healthSpans(in *Instruction, text string, at int) []span {
	end := at
	for end < len(text) && !unicode.IsSpace(rune(text[end])) {
		end++
	}
	spans := []span{{at, end}}
	for end < len(text) && unicode.IsSpace(rune(text[end])) {
		end++
	}
	if in.JSON {
		return append(spans, jsonSpans(text, end)...)
	}
	if end < len(text) {
		spans = append(spans, span{end, len(text)})
	}
	return spans
}

// wordSpans are the words between blanks that are not quoted.
func wordSpans(text string, at int, escape byte) []span {
	var spans []span
	for at < len(text) {
		r, width := utf8.DecodeRuneInString(text[at:])
		if unicode.IsSpace(r) {
			at += width
			continue
		}
		end := wordEnd(text, at, escape)
		if text[at:end] != string(rune(escape)) { // an escape character at the end of the line is no word
			spans = append(spans, span{at, end})
		}
		at = end
	}
	return spans
}

func wordEnd(text string, at int, escape byte) int {
	var quote rune
	for at < len(text) {
		r, width := utf8.DecodeRuneInString(text[at:])
		switch {
		case quote == 0 && unicode.IsSpace(r):
			return at
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case r == quote:
			quote = 0
		case r == rune(escape) && quote != '\'' && at+width < len(text):
			at += width
			_, width = utf8.DecodeRuneInString(text[at:])
		}
		at += width
	}
	return len(text)
}
