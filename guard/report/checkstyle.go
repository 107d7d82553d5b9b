package report

import (
	"bytes"
	"encoding/xml"

	"github.com/deckhand-engine/deckhand/guard"
)

// checkstyle writes Checkstyle's XML, which many CI servers and editors read.
type checkstyle struct {
	out     *output
	options Options
	begun   bool
}

func newCheckstyle(out *output, o Options) *checkstyle { return &checkstyle{out: out, options: o} }

type checkstyleFile struct {
	XMLName xml.Name          `xml:"file"`
	Name    string            `xml:"name,attr"`
	Errors  []checkstyleError `xml:"error"`
}

type checkstyleError struct {
	Line     int    `xml:"line,attr"`
	Column   int    `xml:"column,attr,omitempty"`
	Severity string `xml:"severity,attr"` // ignore, info, warning, error
	Message  string `xml:"message,attr"`
	Source   string `xml:"source,attr"`
}

// Document writes a document as a file.
func (c *checkstyle) Document(doc *guard.Document) error {
	file := checkstyleFile{Name: doc.Path}
	s := newSource(doc)
	for _, f := range doc.Findings {
		r := s.region(f.Where)
		text := message(doc, f)
		if f.Detail != "" {
			text += ": " + f.Detail
		}
		if f.Where.Path != doc.Path {
			text += " (" + f.Where.String() + ")"
		}
		file.Errors = append(file.Errors, checkstyleError{r.startLine, r.startColumn, f.Severity.String(), text, checkstyleSource(c.options, f.Rule)})
	}
	if why := failure(doc); why != "" {
		file.Errors = append(file.Errors, checkstyleError{1, 0, "error", "not checked: " + why, checkstyleSource(c.options, ruleNotChecked)})
	}
	if len(file.Errors) == 0 {
		return c.out.err
	}
	var b bytes.Buffer
	c.begin(&b)
	if err := encodeXML(&b, file, "  "); err != nil {
		return err
	}
	return c.out.write(b.Bytes())
}

// Close ends the XML.
func (c *checkstyle) Close(Summary) error {
	var b bytes.Buffer
	c.begin(&b)
	b.WriteString("</checkstyle>\n")
	return c.out.write(b.Bytes())
}

func (c *checkstyle) begin(b *bytes.Buffer) {
	if !c.begun {
		b.WriteString(xml.Header + "<checkstyle version=\"8.0\">\n")
	}
	c.begun = true
}

func checkstyleSource(o Options, rule string) string {
	return "deckhand." + rule + "." + nameOf(o.Rules, rule)
}

// encodeXML writes an element on lines of its own.
func encodeXML(b *bytes.Buffer, v any, indent string) error {
	text, err := xml.MarshalIndent(v, indent, "  ")
	if err != nil {
		return err
	}
	b.Write(text)
	b.WriteByte('\n')
	return nil
}
