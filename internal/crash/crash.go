// Package crash marks the places between two shared stores or system calls where a test may kill the process. Built with the tag
// `crashpoints` they work; otherwise they compile to nothing.
package crash
