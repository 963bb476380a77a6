"""`doctor`: what a report needs is really attempted, and what was seen is told. Nothing is changed or sent."""
