package report

import (
	"bytes"
	"encoding/xml"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// junit writes JUnit's XML: a test suite a document, a test case a finding. Findings below what makes a check fail
// are tests that passed and have something to say; ignored ones are skipped tests. A document without findings is
// one test that passed.
type junit struct {
	out     *output
	options Options
	begun   bool
}

func newJUnit(out *output, o Options) *junit { return &junit{out: out, options: o} }

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	ClassName string        `xml:"classname,attr"`
	Name      string        `xml:"name,attr"`
	File      string        `xml:"file,attr,omitempty"`
	Line      int           `xml:"line,attr,omitempty"`
	Failure   *junitProblem `xml:"failure"`
	Error     *junitProblem `xml:"error"`
	Skipped   *junitProblem `xml:"skipped"`
	SystemOut string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// Document writes a document as a test suite.
func (j *junit) Document(doc *guard.Document) error {
	suite := junitSuite{Name: doc.Path}
	for _, f := range doc.Findings {
		c := j.testCase(doc, f)
		if f.Severity >= j.options.Policy.Threshold() {
			c.Failure = &junitProblem{f.Message, f.Severity.String(), story(f)}
			suite.Failures++
		} else {
			c.SystemOut = f.Severity.String() + ": " + story(f)
		}
		suite.Cases = append(suite.Cases, c)
	}
	for _, f := range doc.Ignored {
		c := j.testCase(doc, f.Finding)
		c.Skipped = &junitProblem{Message: f.By + ": " + f.Reason, Text: story(f.Finding)}
		suite.Cases = append(suite.Cases, c)
		suite.Skipped++
	}
	if why := failure(doc); why != "" {
		c := junitCase{ClassName: doc.Path, Name: "check", Error: &junitProblem{Message: why, Type: "not checked"}}
		suite.Cases = append(suite.Cases, c)
		suite.Errors++
	}
	if len(suite.Cases) == 0 {
		suite.Cases = []junitCase{{ClassName: doc.Path, Name: "nothing found"}}
	}
	suite.Tests = len(suite.Cases)
	var b bytes.Buffer
	j.begin(&b)
	if err := encodeXML(&b, suite, "  "); err != nil {
		return err
	}
	return j.out.write(b.Bytes())
}

// Close ends the XML.
func (j *junit) Close(Summary) error {
	var b bytes.Buffer
	j.begin(&b)
	b.WriteString("</testsuites>\n")
	return j.out.write(b.Bytes())
}

func (j *junit) begin(b *bytes.Buffer) {
	if !j.begun {
		b.WriteString(xml.Header + "<testsuites name=\"deckhand check\">\n")
	}
	j.begun = true
}

func (j *junit) testCase(doc *guard.Document, f guard.Finding) junitCase {
	name := f.Rule + " " + nameOf(j.options.Rules, f.Rule)
	if f.Subject != "" {
		name += ": " + f.Subject
	}
	c := junitCase{ClassName: doc.Path, Name: name, Line: f.Where.Line}
	if f.Where.Line > 0 {
		c.File = f.Where.Path
	}
	return c
}

// story is all that is said of a finding.
func story(f guard.Finding) string {
	lines := []string{f.Where.String() + ": " + f.Message}
	if f.Detail != "" {
		lines = append(lines, f.Detail)
	}
	if a := advice(f); a != "" {
		lines = append(lines, a)
	}
	return strings.Join(lines, "\n")
}
