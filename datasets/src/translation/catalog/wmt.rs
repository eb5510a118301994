//! News translation of the WMT campaigns.

use super::{Archive, KEEP, Part, Published, Steps, archive, part};
use crate::Split;
use crate::tokenize::Language;
use crate::tokenize::moses::{Release, TokenizerOptions};
use crate::translation::clean::Cleaning;

const AGGRESSIVE: Option<TokenizerOptions> = Some(TokenizerOptions {
    aggressive_hyphens: true,
    escape: true,
    release: Release::Y2019,
});

const UP_TO_250: Cleaning = Cleaning {
    ratio: 1.5,
    min: 1,
    max: 250,
};

/// The steps of fairseq's script for WMT: training text gets plain punctuation, test text does not.
const WMT: Steps = Steps {
    normalize: &[Split::Train],
    drop_unprintable: true,
    tokenize: AGGRESSIVE,
    clean_pieces: Some(UP_TO_250),
    ..KEEP
};

const EUROPARL_V7: Archive = archive(
    "training-parallel-europarl-v7.tgz",
    &[
        "https://www.statmt.org/wmt13/training-parallel-europarl-v7.tgz",
        "http://statmt.org/wmt13/training-parallel-europarl-v7.tgz",
    ],
);
const COMMON_CRAWL: Archive = archive(
    "training-parallel-commoncrawl.tgz",
    &[
        "https://www.statmt.org/wmt13/training-parallel-commoncrawl.tgz",
        "http://statmt.org/wmt13/training-parallel-commoncrawl.tgz",
    ],
);
const WMT17_DEV: Archive = archive(
    "dev.tgz",
    &[
        "https://data.statmt.org/wmt17/translation-task/dev.tgz",
        "http://data.statmt.org/wmt17/translation-task/dev.tgz",
    ],
);
const WMT14_TEST: Archive = archive(
    "test-full.tgz",
    &[
        "https://www.statmt.org/wmt14/test-full.tgz",
        "http://statmt.org/wmt14/test-full.tgz",
    ],
);
const EUROPARL_V7_TEXT: Part = part(
    Split::Train,
    &["training/europarl-v7.de-en.en"],
    &["training/europarl-v7.de-en.de"],
);
const COMMON_CRAWL_TEXT: Part = part(
    Split::Train,
    &["commoncrawl.de-en.en"],
    &["commoncrawl.de-en.de"],
);
const NEWSTEST2014: Part = part(
    Split::Test,
    &["test-full/newstest2014-deen-src.en.sgm"],
    &["test-full/newstest2014-deen-ref.de.sgm"],
);

pub(super) static WMT14: Published = Published {
    name: "wmt14-en-de",
    title: "WMT 2014 en-de",
    source: Language::En,
    target: Language::De,
    licence: "see https://www.statmt.org/wmt14/translation-task.html",
    archives: &[
        EUROPARL_V7,
        COMMON_CRAWL,
        archive(
            "training-parallel-nc-v9.tgz",
            &[
                "https://www.statmt.org/wmt14/training-parallel-nc-v9.tgz",
                "http://statmt.org/wmt14/training-parallel-nc-v9.tgz",
            ],
        ),
        WMT17_DEV,
        WMT14_TEST,
    ],
    parts: &[
        EUROPARL_V7_TEXT,
        COMMON_CRAWL_TEXT,
        part(
            Split::Train,
            &["training/news-commentary-v9.de-en.en"],
            &["training/news-commentary-v9.de-en.de"],
        ),
        part(
            Split::Valid,
            &["dev/newstest2013.en", "dev/newstest2013-src.en.sgm"],
            &["dev/newstest2013.de", "dev/newstest2013-ref.de.sgm"],
        ),
        NEWSTEST2014,
    ],
    steps: WMT,
    sizes: &[(Split::Valid, 3_000), (Split::Test, 3_003)],
};

pub(super) static WMT17: Published = Published {
    name: "wmt17-en-de",
    title: "WMT 2017 en-de",
    source: Language::En,
    target: Language::De,
    licence: "see https://www.statmt.org/wmt17/translation-task.html",
    archives: &[
        EUROPARL_V7,
        COMMON_CRAWL,
        archive(
            "training-parallel-nc-v12.tgz",
            &[
                "https://data.statmt.org/wmt17/translation-task/training-parallel-nc-v12.tgz",
                "http://data.statmt.org/wmt17/translation-task/training-parallel-nc-v12.tgz",
            ],
        ),
        WMT14_TEST,
    ],
    parts: &[
        EUROPARL_V7_TEXT,
        COMMON_CRAWL_TEXT,
        part(
            Split::Train,
            &["training/news-commentary-v12.de-en.en"],
            &["training/news-commentary-v12.de-en.de"],
        ),
        NEWSTEST2014,
    ],
    steps: Steps {
        hold_out: Some(100),
        ..WMT
    },
    sizes: &[(Split::Test, 3_003)],
};

pub(super) static WMT16: Published = Published {
    name: "wmt16-ro-en",
    title: "WMT 2016 ro-en",
    source: Language::Ro,
    target: Language::En,
    licence: "see https://www.statmt.org/wmt16/translation-task.html",
    archives: &[
        archive(
            "training-parallel-ep-v8.tgz",
            &[
                "https://data.statmt.org/wmt16/translation-task/training-parallel-ep-v8.tgz",
                "http://data.statmt.org/wmt16/translation-task/training-parallel-ep-v8.tgz",
            ],
        ),
        archive(
            "en-ro.txt.zip",
            &[
                "https://object.pouta.csc.fi/OPUS-SETIMES/v2/moses/en-ro.txt.zip",
                "http://opus.nlpl.eu/download.php?f=SETIMES/v2/moses/en-ro.txt.zip",
            ],
        ),
        archive(
            "dev.tgz",
            &[
                "https://data.statmt.org/wmt16/translation-task/dev.tgz",
                "http://data.statmt.org/wmt16/translation-task/dev.tgz",
            ],
        ),
        archive(
            "test.tgz",
            &[
                "https://data.statmt.org/wmt16/translation-task/test.tgz",
                "http://data.statmt.org/wmt16/translation-task/test.tgz",
            ],
        ),
    ],
    parts: &[
        part(
            Split::Train,
            &["training-parallel-ep-v8/europarl-v8.ro-en.ro"],
            &["training-parallel-ep-v8/europarl-v8.ro-en.en"],
        ),
        part(
            Split::Train,
            &["SETIMES.en-ro.ro", "SETIMES2.en-ro.ro"],
            &["SETIMES.en-ro.en", "SETIMES2.en-ro.en"],
        ),
        part(
            Split::Valid,
            &["dev/newsdev2016-roen-src.ro.sgm", "newsdev2016.ro"],
            &["dev/newsdev2016-roen-ref.en.sgm", "newsdev2016.en"],
        ),
        part(
            Split::Test,
            &["test/newstest2016-roen-src.ro.sgm", "newstest2016.ro"],
            &["test/newstest2016-roen-ref.en.sgm", "newstest2016.en"],
        ),
    ],
    steps: WMT,
    sizes: &[(Split::Valid, 1_999), (Split::Test, 1_999)],
};
