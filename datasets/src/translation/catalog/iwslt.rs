//! TED talks of the IWSLT campaigns.

use super::{KEEP, PLAIN, Part, Published, Steps, archive, part};
use crate::Split;
use crate::tokenize::Language;
use crate::translation::clean::Cleaning;

const UP_TO_175: Cleaning = Cleaning {
    ratio: 1.5,
    min: 1,
    max: 175,
};

macro_rules! iwslt {
    ($split:ident, $path:literal) => {
        part(
            Split::$split,
            &[concat!($path, ".de.xml")],
            &[concat!($path, ".en.xml")],
        )
    };
}

const TED: &str = "that of TED talks, see https://www.ted.com/about/our-organization/our-policies-terms/ted-talks-usage-policy";

const IWSLT_TRAIN: Part = part(
    Split::Train,
    &["de-en/train.tags.de-en.de"],
    &["de-en/train.tags.de-en.en"],
);

pub(super) static IWSLT14: Published = Published {
    name: "iwslt14-de-en",
    title: "IWSLT 2014 de-en",
    source: Language::De,
    target: Language::En,
    licence: TED,
    archives: &[archive(
        "de-en.tgz",
        &[
            "http://dl.fbaipublicfiles.com/fairseq/data/iwslt14/de-en.tgz",
            "https://wit3.fbk.eu/archive/2014-01/texts/de/en/de-en.tgz",
        ],
    )],
    parts: &[
        IWSLT_TRAIN,
        iwslt!(Test, "de-en/IWSLT14.TED.dev2010.de-en"),
        iwslt!(Test, "de-en/IWSLT14.TEDX.dev2012.de-en"),
        iwslt!(Test, "de-en/IWSLT14.TED.tst2010.de-en"),
        iwslt!(Test, "de-en/IWSLT14.TED.tst2011.de-en"),
        iwslt!(Test, "de-en/IWSLT14.TED.tst2012.de-en"),
    ],
    steps: Steps {
        tokenize: PLAIN,
        clean: Some(UP_TO_175),
        lowercase: true,
        hold_out: Some(23),
        ..KEEP
    },
    sizes: &[(Split::Test, 6_750)],
};

pub(super) static IWSLT17: Published = Published {
    name: "iwslt17-de-en",
    title: "IWSLT 2017 de-en",
    source: Language::De,
    target: Language::En,
    licence: TED,
    archives: &[
        archive(
            "2017-01-trnted/de-en.tgz",
            &[
                "https://huggingface.co/datasets/IWSLT/iwslt2017/resolve/main/data/2017-01-trnted/texts/de/en/de-en.zip",
                "https://wit3.fbk.eu/archive/2017-01-trnted/texts/de/en/de-en.tgz",
            ],
        ),
        archive(
            "2017-01-ted-test/de-en.tgz",
            &[
                "https://raw.githubusercontent.com/hlt-mt/WIT3/master/archive/2017-01-ted-test/texts/de/en/de-en.tgz",
                "https://wit3.fbk.eu/archive/2017-01-ted-test/texts/de/en/de-en.tgz",
            ],
        ),
        archive(
            "2017-01-ted-test/en-de.tgz",
            &[
                "https://raw.githubusercontent.com/hlt-mt/WIT3/master/archive/2017-01-ted-test/texts/en/de/en-de.tgz",
                "https://wit3.fbk.eu/archive/2017-01-ted-test/texts/en/de/en-de.tgz",
            ],
        ),
    ],
    parts: &[
        IWSLT_TRAIN,
        iwslt!(Valid, "de-en/IWSLT17.TED.dev2010.de-en"),
        iwslt!(Valid, "de-en/IWSLT17.TED.tst2010.de-en"),
        iwslt!(Valid, "de-en/IWSLT17.TED.tst2011.de-en"),
        iwslt!(Valid, "de-en/IWSLT17.TED.tst2012.de-en"),
        iwslt!(Valid, "de-en/IWSLT17.TED.tst2013.de-en"),
        iwslt!(Valid, "de-en/IWSLT17.TED.tst2014.de-en"),
        iwslt!(Valid, "de-en/IWSLT17.TED.tst2015.de-en"),
        // The references are the sources of the other direction.
        part(
            Split::Test,
            &["de-en/IWSLT17.TED.tst2017.de-en.de.xml"],
            &["en-de/IWSLT17.TED.tst2017.en-de.en.xml"],
        ),
    ],
    steps: Steps {
        tokenize: PLAIN,
        clean: Some(UP_TO_175),
        ..KEEP
    },
    sizes: &[(Split::Valid, 8_967)],
};
