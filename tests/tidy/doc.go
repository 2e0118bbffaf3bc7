// Package tidy checks how sources and documents are written: widths, lengths, words. Its tests read
// every text file of the tree. What is not yet as it should be is listed in exceptions.txt, with the
// number of places in each file; the list may only shrink.
//
//	go test ./tests/tidy            # fails on each new place, and on a number that is too high
//	go test ./tests/tidy -shrink    # lowers the numbers to what there is
package tidy
