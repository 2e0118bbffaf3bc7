// Package crash marks the crash points: places between two shared stores or system calls where a
// test may kill the process. The points work in builds with the tag `crashpoints`, and compile to
// nothing in all other builds.
package crash
