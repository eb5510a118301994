//! Abbreviations: words whose period is no end of a sentence.
//!
//! Abbreviations with a period inside (`z.B.`, `U.S.`) need no list. Single letters, German ordinals (`21.
//! Oktober`) and Roman numerals are rules. The lists are our own, not those of Moses (LGPL): words that
//! dictionaries of each language abbreviate so and that abbreviate in texts, of which the originals, run, keep the
//! period. `tests/parity/moses.py --words` asks them again, for every word in every language, and counts what of
//! theirs is here.

use super::release::Release;
use crate::tokenize::Language;

/// When a period stays with its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    /// Whatever follows.
    Always,
    /// When a number follows: `No. 5`.
    BeforeNumber,
}

/// What is known of a word before a period; upper and lower case differ.
pub(super) fn prefix(language: Language, release: Release, stem: &str) -> Option<Prefix> {
    let listed = |list: &str| list.split_ascii_whitespace().any(|word| word == stem);
    let letter = single_letter(stem);
    let always = match language {
        // Languages without a list of their own fall back to English.
        Language::En | Language::Ja | Language::Other(_) => {
            if listed(EN_BEFORE_NUMBER) {
                return Some(Prefix::BeforeNumber);
            }
            let changed = match release {
                Release::Y2015 => listed(EN_2015),
                Release::Y2017 => false,
                Release::Y2019 => listed(EN_2019),
            };
            letter == Some(Case::Upper) || listed(TITLES) || listed(EN) || changed
        }
        Language::De => {
            letter.is_some()
                || is_ordinal(stem)
                || is_roman_to_20(stem)
                || listed(TITLES)
                || listed(DE)
        }
        Language::Fr => {
            let is_word = release >= Release::Y2017 && stem == "a";
            (letter.is_some() && !is_word) || listed(FR)
        }
        Language::Cs => listed(CS),
        Language::Ro => letter == Some(Case::Upper) || listed(RO),
    };
    always.then_some(Prefix::Always)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
}

fn single_letter(stem: &str) -> Option<Case> {
    match stem.as_bytes() {
        [b'A'..=b'Z'] => Some(Case::Upper),
        [b'a'..=b'z'] => Some(Case::Lower),
        _ => None,
    }
}

/// 1 to 99, without a leading zero.
fn is_ordinal(stem: &str) -> bool {
    matches!(stem.as_bytes(), [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9'])
}

/// I to XX, all upper or all lower case.
fn is_roman_to_20(stem: &str) -> bool {
    const ONES: [&str; 10] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
    let upper = stem.to_ascii_uppercase();
    let one_case = stem == upper || stem == stem.to_ascii_lowercase();
    let ones = upper.strip_prefix('X').unwrap_or(&upper);
    one_case && !stem.is_empty() && (ONES.contains(&ones) || upper == "XX")
}

/// Titles and offices, in English and in German text.
const TITLES: &str = "
    Adj Adm Adv Asst Bart Bldg Brig Bros Capt Cmdr Col Comdr Con Corp Cpl DR Dr Ens Gen Gov Hon Hosp Insp
    Lt MM MR MRS MS Maj Messrs Mlle Mme Mr Mrs Ms Msgr Op Ord Pfc Ph Prof Pvt Rep Reps Res Rev Rt
    Sen Sens Sfc Sgt Sr St Supt Surg";

const EN: &str = "
    Drs Hr Nos Nr rev v vs
    Jan Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec";

const EN_BEFORE_NUMBER: &str = "Art No pp";

const EN_2015: &str = "Inc";

const EN_2019: &str = "Rs";

const DE: &str = "
    Art Buchst Ca Chr Co Ltd Mio Mrd MwSt No Nos Nr SA Std Zt
    bzgl bzw ca dergl dgl etc evtl ff ggf jun pp sen sog sogen spp usf usw vgl vs zzt";

const FR: &str = "
    MM SS al ann apr art auj av boul ca cf chap contr dir env etc ex fasc fig fr fém hab ibid id inf lib
    masc ms pl pp sec sect sing sq sqq suiv sup suppl tél vb vol vs éd";

const CS: &str = "
    Bc BcA CSc DiS Dr DrSc Ing JUDr MgA Mgr MUDr MVDr PaedDr PharmDr PhDr PhMr RNDr RSDr ThDr ThLic
    č f m n p r ř s
    abl absol abt ad adj adv aj ak akt alch amer anat angl anglosas anon ap apod arab arch archit arg astr astrol atd
    atp att aut bás bd belg bibl biogr biol bot br bulh cca chem cit cizojaz círk col čas čes čín čj čp dat dep děj dět
    dial dl doc dol dop dopr dosl dór ed ekon epic eufem ev event fam fasc fem fil film fol form fot fr franc fut fyz
    gen geogr geol geom germ gram hebr herald hist hl hod hor horn hovor hrsg hud hut ibid ie il imp impf ind indoevr
    inf instr interj iron it jap kanad katalán kl kniž kol komp konj konkr kr kuch lat les lék lid lit liturg log lok
    maď mat meteor metr mj ml mld mod ms mysl např náb námoř násl neklas nesklon než něm no nom nr ob obch obr obyč odd
    odp okr opt orig part pas pejor pers pf phil pl pol pomn popř port pozn práv prep prof předl přel přivl příl pt
    rcsl red refl reg repr resp rkp roč rozš rum rus řec samohl samost sect sg sign sl slang slov souhl spec sport srov
    srv st stfr stol střv stsl subj subst superl sv sz šk špan švýc tab táz tech telev teol tis tj trans tř tzn tzv
    univ var vedl verb voj vok vol vs vulg vyd výtv vztaž zahr zast zájm zejm zeměd zkr zprac zvl";

const RO: &str = "D-na Dl Dvs Pt d-na dl dvs etc pt";
