// No qstrs beyond those in the sources.
