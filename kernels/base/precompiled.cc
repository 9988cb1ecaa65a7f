// This file is empty: headers that are compiled once need a source to belong
// to.
