"""The rapid-categorisation experiment (section 2.2, Fig. 2B): which parts of an image suffice?

levels            how much is shown
flood_fill        in which order a map's pixels are revealed
phase_scramble    what they are revealed on
pictures          the images of an experiment; maps their importance, out of whatever holds it
stimuli           an image and two maps -> PNG files; verify what must hold of them
manifest          which files there are, and their checksums; contact_sheet to look at them
generate          `psychophysics stimuli`: all images of a list; sets what it leaves on disk
settings          what an experiment is, as values
commands          what the subcommands do
"""
